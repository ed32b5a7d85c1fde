//! `mtcmcn bench table1`: the paper's comparison of nets, 12-, 24- and 48-Net against P-, R- and O-Net.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, bail};
use mtcmcn::Engine;
use mtcmcn::measure::forward_pass;
use mtcmcn::nets::rivals::{NET12, NET24, NET24_WITH_12, NET48, NET48_WITH_24};
use mtcmcn::nets::{Net, ONET, PNET, RNET};
use serde_json::json;

use super::args::Table1Args;
use super::report::{self, NamedEngine, complain, print};
use super::{engines, platform};
use crate::cli::train::table1::{Accuracies, NetAccuracy};
use crate::cli::{Outcome, explain};

/// What the paper, and the original paper, say of a net: seconds for 300 passes, accuracy in per cent.
type Said = Option<[[f64; 2]; 2]>;

struct NetRow {
    group: u32,
    label: &'static str,
    net: Net,
    rival: bool,
    said: Said,
}

/// Rivals first. The paper does not say whether its 24- and 48-Net have their branches; its figures stand
/// beside those that do.
const ROWS: [NetRow; 8] = [
    NetRow { group: 1, label: "12-Net", net: NET12, rival: true, said: Some([[0.041, 95.1], [0.038, 94.4]]) },
    NetRow { group: 1, label: "P-Net", net: PNET, rival: false, said: Some([[0.033, 94.8], [0.031, 94.6]]) },
    NetRow { group: 2, label: "24-Net alone", net: NET24, rival: true, said: None },
    NetRow { group: 2, label: "24-Net with 12-Net", net: NET24_WITH_12, rival: true, said: Some([[0.745, 95.3], [0.738, 95.1]]) },
    NetRow { group: 2, label: "R-Net", net: RNET, rival: false, said: Some([[0.512, 95.6], [0.458, 95.4]]) },
    NetRow { group: 3, label: "48-Net alone", net: NET48, rival: true, said: None },
    NetRow { group: 3, label: "48-Net with 24-Net", net: NET48_WITH_24, rival: true, said: Some([[3.602, 94.2], [3.577, 93.2]]) },
    NetRow { group: 3, label: "O-Net", net: ONET, rival: false, said: Some([[1.352, 95.6], [1.347, 95.4]]) },
];

/// Measures every net on every engine at every batch.
///
/// # Errors
///
/// If nothing could be measured or results cannot be written.
pub fn run(args: &Table1Args) -> Result<Outcome> {
    let (passes, warm_up, threads) = (args.passes, args.warm_up, engines::threads(&args.engines));
    let accuracies = args.accuracy.as_deref().map(Accuracies::read).transpose()?;
    let protocol = format!(
        "{passes} forward passes after {warm_up} to warm up, input on the device, weights of noise; CPU engine on {threads} threads"
    );
    print(args.json, || report::heading(&platform::machine(), false, &protocol), || vec![report::machine_json(threads)])?;
    let (mut outcome, mut any) = (Outcome::Found, false);
    for candidate in engines::open(&args.engines) {
        let timed = candidate.engine.and_then(|engine| one_engine(args, &engine, accuracies.as_ref()));
        match timed {
            Ok(()) => any = true,
            Err(error) => {
                outcome = Outcome::Failed;
                complain(&format!("{}: {}", candidate.device, explain(&error)));
            }
        }
    }
    if !any {
        bail!("nothing could be measured");
    }
    Ok(outcome)
}

fn one_engine(args: &Table1Args, engine: &Engine, accuracies: Option<&Accuracies>) -> Result<()> {
    let adapter = engine.gpu().map(|gpu| gpu.report().clone());
    let named = NamedEngine { name: engine.name(), adapter, threads: engine.threads(), ceilings: None };
    for &batch in &args.batch {
        let mut times = Vec::new();
        for row in &ROWS {
            let mut session = forward_pass(engine, row.net, batch)?;
            session.time_plays(args.warm_up)?;
            times.push(session.time_plays(args.passes)?);
        }
        let rows: Vec<_> = ROWS.iter().zip(&times).map(|(row, time)| (row, *time, accuracies.and_then(|all| all.of(row.label)))).collect();
        print(args.json, || text(&named, args, batch, &rows), || objects(&named, args, batch, &rows))?;
    }
    Ok(())
}

/// A row with the time of its passes, and its accuracy if it is told.
type MeasuredNet<'a> = (&'a NetRow, Duration, Option<&'a NetAccuracy>);

/// Time of the row over that of our net in its group.
fn times_ours(index: usize, rows: &[MeasuredNet<'_>]) -> f64 {
    let ours = ROWS.iter().position(|row| row.group == ROWS[index].group && !row.rival).unwrap_or(index);
    rows[index].1.as_secs_f64() / rows[ours].1.as_secs_f64().max(1e-9)
}

/// The same of what was said.
fn said_ratio(index: usize, which: usize) -> Option<f64> {
    let ours = ROWS.iter().find(|row| row.group == ROWS[index].group && !row.rival)?.said?;
    Some(ROWS[index].said?[which][0] / ours[which][0])
}

fn text(engine: &NamedEngine, args: &Table1Args, batch: u32, rows: &[MeasuredNet<'_>]) -> String {
    let mut text = format!("\n{}, batch of {batch}\n", report::engine_line(engine));
    let said = ["s", "x", "%"].map(|name| format!("{name:>5}")).join(" ");
    let _ = writeln!(text, "  {:40} {:^35}   {:^17}   {:^17}", "", "here", "the paper", "original paper");
    let _ = writeln!(
        text,
        "  {:18} {:>10} {:>10} {:>8} {:>9} {:>5} {:>10}   {said}   {said}",
        "net", "parameters", "mult-adds", "s", "µs a pass", "x", "%"
    );
    for (i, (row, time, accuracy)) in rows.iter().enumerate() {
        let cost = row.net.cost().map_or((0, 0), |cost| (cost.parameters, cost.multiply_adds));
        let (seconds, each) = (time.as_secs_f64(), time.as_secs_f64() * 1e6 / f64::from(args.passes));
        let [paper, original] = [0, 1].map(|which| match (row.said, said_ratio(i, which)) {
            (Some(said), Some(ratio)) => format!("{:5.3} {ratio:5.2} {:5.1}", said[which][0], said[which][1]),
            _ => format!("{:>5} {:>5} {:>5}", "-", "-", "-"),
        });
        let _ = writeln!(
            text,
            "  {:18} {:10} {:10} {seconds:8.4} {each:9.1} {:5.2} {:>10}   {paper}   {original}",
            row.label,
            cost.0,
            cost.1,
            times_ours(i, rows),
            accuracy.map_or_else(|| "-".into(), percent),
        );
    }
    if rows.iter().any(|(_, _, accuracy)| accuracy.is_some()) {
        text += "  % here: balanced validation crops, classification alone, mean ± deviation over seeds; rivals trained by themselves\n";
    }
    text
}

/// With the deviation, if there are several seeds.
fn percent(accuracy: &NetAccuracy) -> String {
    let deviation = accuracy.deviation.map_or_else(String::new, |deviation| format!(" ±{:.1}", 100.0 * deviation));
    format!("{:.1}{deviation}", 100.0 * accuracy.mean)
}

fn objects(engine: &NamedEngine, args: &Table1Args, batch: u32, rows: &[MeasuredNet<'_>]) -> Vec<serde_json::Value> {
    let each = rows.iter().enumerate().map(|(i, (row, time, accuracy))| {
        let cost = row.net.cost().ok();
        let said = |which: usize| row.said.map(|said| json!({ "seconds": said[which][0], "accuracy": said[which][1] }));
        json!({
            "kind": "table1", "engine": engine.name, "adapter": report::adapter_json(engine.adapter.as_ref()), "threads": engine.threads,
            "group": row.group, "net": row.label, "rival": row.rival, "parameters": cost.map(|c| c.parameters),
            "multiply_adds": cost.map(|c| c.multiply_adds), "batch": batch, "passes": args.passes, "seconds": time.as_secs_f64(),
            "times_ours": times_ours(i, rows), "paper": said(0), "original": said(1),
            "accuracy": accuracy.map(|a| json!({ "mean": 100.0 * a.mean, "deviation": a.deviation.map(|d| 100.0 * d) })),
        })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_ratios_are_those_of_the_spec() {
        let ratio = |label: &str| {
            let index = ROWS.iter().position(|row| row.label == label).expect("a row");
            (said_ratio(index, 0).expect("said") * 100.0).round() / 100.0
        };
        assert_eq!((ratio("12-Net"), ratio("24-Net with 12-Net"), ratio("48-Net with 24-Net")), (1.24, 1.46, 2.66));
        assert_eq!((ratio("P-Net"), ratio("R-Net"), ratio("O-Net")), (1.0, 1.0, 1.0));
    }

    #[test]
    fn a_ratio_is_to_our_net_of_the_same_group() {
        let rows: Vec<_> = ROWS.iter().zip(1..).map(|(row, time)| (row, Duration::from_millis(time), None)).collect();
        let ratios: Vec<f64> = (0..8).map(|i| times_ours(i, &rows)).collect();
        assert_eq!(ratios, [0.5, 1.0, 3.0 / 5.0, 4.0 / 5.0, 1.0, 6.0 / 8.0, 7.0 / 8.0, 1.0]);
    }
}
