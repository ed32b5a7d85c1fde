use super::ticks::{Ruler, value_label};
use super::*;

fn chart() -> LineChart {
    LineChart {
        title: "Detection rate".to_owned(),
        note: "a setting".to_owned(),
        x: Axis::new("false positives").log(),
        y: Axis::new("true positive rate"),
        series: vec![
            Series::new("ours", (1..=200).map(|i| [f64::from(i * 10), 1.0 - 1.0 / f64::from(i + 1)]).collect()),
            Series::new("<theirs> & others", vec![[10.0, 0.6], [f64::NAN, 0.7], [1000.0, 0.8], [2000.0, 0.85]]).dashed().dots(),
            Series::new("empty", vec![]),
        ],
        references: vec![Reference { name: "claimed".to_owned(), y: 0.95 }],
    }
}

fn bar_chart() -> BarChart {
    BarChart {
        title: "Speed".to_owned(),
        note: String::new(),
        groups: vec!["640x480\nmin face 20".to_owned(), "1280x720\nmin face 20".to_owned()],
        y: Axis::new("frames/s"),
        bars: vec![
            Bars { name: "CPU".to_owned(), values: vec![110.0, f64::NAN] },
            Bars { name: "GPU".to_owned(), values: vec![310.0, 120.5] },
        ],
        references: vec![Reference { name: "99 fps".to_owned(), y: 99.0 }],
    }
}

fn marks(axis: &Axis, values: &[f64]) -> Vec<String> {
    let ruler = Ruler::new(axis, values.iter().copied(), false);
    ruler.marks.iter().map(|mark| ruler.label(*mark)).collect()
}

#[test]
fn marks_are_round_numbers() {
    assert_eq!(marks(&Axis::new(""), &[0.0, 1.0]), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    assert_eq!(marks(&Axis::new(""), &[-3.0, 11.0]), ["-5", "0", "5", "10", "15"]);
    assert_eq!(marks(&Axis::new(""), &[0.0, 60_000.0]), ["0", "10,000", "20,000", "30,000", "40,000", "50,000", "60,000"]);
    assert_eq!(marks(&Axis::new("").log(), &[1.0, 1000.0]), ["1", "10", "100", "1000"]);
    assert_eq!(marks(&Axis::new("").log(), &[0.02, 0.3]), ["0.02", "0.05", "0.1", "0.2"]);
    assert_eq!(marks(&Axis::new("").range(0.85, 0.9), &[]), ["0.85", "0.86", "0.87", "0.88", "0.89", "0.90"]);
}

#[test]
fn an_axis_of_anything_has_ends_and_marks() {
    let huge = [-1e308, 1e308];
    let wild: [&[f64]; 7] = [&[], &[f64::NAN], &[0.0], &[5.0, 5.0], &[-7.0], &huge, &[1e-300, 1e-290]];
    for values in wild {
        for axis in [Axis::new(""), Axis::new("").log(), Axis::new("").range(2.0, 1.0), Axis::new("").log().range(0.0, 1.0)] {
            let ruler = Ruler::new(&axis, values.iter().copied(), false);
            assert!(ruler.ends[0] < ruler.ends[1] && ruler.ends.iter().all(|end| end.is_finite()), "{values:?}: {ruler:?}");
            assert!((2..=101).contains(&ruler.marks.len()), "{values:?}: {ruler:?}");
        }
    }
}

#[test]
fn values_are_written_short() {
    for (value, text) in
        [(0.0, "0"), (1.0, "1"), (0.944_47, "0.9445"), (-2.5, "-2.5"), (31_958.0, "31,958"), (1234.56, "1235"), (1e-9, "1.0e-9")]
    {
        assert_eq!(value_label(value), text);
    }
}

#[test]
fn a_chart_shows_its_words_and_interrupts_a_curve_at_a_gap() {
    let svg = chart().svg().unwrap();
    for word in ["Detection rate", "a setting", "false positives", "true positive rate", "ours", "&lt;theirs&gt; &amp; others", "claimed"] {
        assert!(svg.contains(word), "{word}");
    }
    assert!(svg.starts_with("<svg width=\"800\" height=\"500\" viewBox=\"0 0 6400 4000\""), "{}", &svg[..100]);
    let whole = LineChart { series: vec![Series::new("", vec![[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]])], ..chart() };
    let mut cut = whole.clone();
    cut.series[0].points.insert(2, [f64::NAN; 2]);
    let strokes = |chart: &LineChart| chart.svg().unwrap().matches("<polyline").count();
    assert_eq!(strokes(&cut), strokes(&whole) + 1);
    let bars = bar_chart().svg().unwrap();
    assert!(["310", "120.5", "110", "99 fps", "1280x720"].iter().all(|word| bars.contains(word)));
}

#[test]
fn a_curve_ends_at_the_axes() {
    let outside = LineChart { x: Axis::new("").range(0.0, 1.0), y: Axis::new("").range(0.0, 1.0), ..LineChart::default() };
    let with = |points| LineChart { series: vec![Series::new("", points)], ..outside.clone() }.svg().unwrap();
    let none = with(vec![]);
    assert_eq!(with(vec![[-1.0, 0.5], [-0.5, 9.0]]), none);
    assert_eq!(with(vec![[2.0, 2.0]]), none);
    // The line enters at the left edge and leaves at the top, so the segment between (0, 0.5) and (0.5, 1)
    // remains.
    assert_eq!(with(vec![[-1.0, -0.5], [2.0, 2.5]]), with(vec![[0.0, 0.5], [0.5, 1.0]]));
}

#[test]
fn both_files_are_written_whole_or_not_at_all() {
    let folder = std::env::temp_dir().join(format!("mtcmcn-plot-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let [svg, png] = chart().save(&folder.join("a.b")).unwrap();
    assert!(svg.ends_with("a.b.svg") && png.ends_with("a.b.png"));
    let picture = image::open(&png).unwrap().into_rgb8();
    assert_eq!(picture.dimensions(), (1600, 1000));
    // Pixels in the colour of the curve show that the PNG is not empty.
    assert!(picture.pixels().filter(|pixel| pixel.0 == [0, 114, 178]).count() > 500);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    let missing = bar_chart().save(&folder.join("none/x"));
    assert!(matches!(missing, Err(PlotError::File(FileError::Write { path, .. })) if path.ends_with("none/x.svg")));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn text_has_letters_in_the_png() {
    let blank = LineChart { title: String::new(), ..chart() }.png().unwrap();
    assert_ne!(blank, LineChart { title: "x".to_owned(), ..chart() }.png().unwrap());
    let ink = |title: &str| {
        let chart = LineChart { title: title.to_owned(), ..LineChart::default() };
        let picture = image::load_from_memory(&chart.png().unwrap()).unwrap().into_luma8();
        picture.pixels().filter(|pixel| pixel.0[0] < 100).count()
    };
    assert!(ink("WWWWWWWW") > ink("W") + 500, "{} {}", ink("WWWWWWWW"), ink("W"));
}
