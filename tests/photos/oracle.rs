//! All photos against the faces that an independent implementation finds.

use std::collections::HashMap;

use serde_json::Value;

use crate::{data, mtcmcn};

type Face = (Vec<f64>, Vec<f64>, f64);

/// Faces by file stem.
fn faces(ndjson: &str) -> HashMap<String, Vec<Face>> {
    let numbers = |value: &Value| -> Vec<f64> {
        let flat = value.as_array().unwrap().iter().flat_map(|v| v.as_array().map_or_else(|| vec![v.clone()], Clone::clone));
        flat.map(|v| v.as_f64().unwrap()).collect()
    };
    let face = |face: &Value| (numbers(&face["box"]), numbers(&face["landmarks"]), face["score"].as_f64().unwrap());
    ndjson
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            let path = record["path"].as_str().unwrap();
            let stem = path.rsplit('/').next().unwrap().trim_end_matches(".png").to_owned();
            (stem, record["faces"].as_array().unwrap_or_else(|| panic!("{record}")).iter().map(face).collect())
        })
        .collect()
}

fn iou(a: &[f64], b: &[f64]) -> f64 {
    let side = |lo: f64, hi: f64| (hi - lo).max(0.0);
    let shared = side(a[0].max(b[0]), a[2].min(b[2])) * side(a[1].max(b[1]), a[3].min(b[3]));
    let area = |r: &[f64]| (r[2] - r[0]) * (r[3] - r[1]);
    shared / (area(a) + area(b) - shared)
}

fn worst(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// At least 99.8 % of the faces are matched, 99 % of those within 0.05 px and 0.0005.
fn check(device: &str) {
    let oracle = |name: &str| std::fs::read_to_string(data().join("../oracle").join(name)).unwrap();
    let want = faces(&(oracle("cmu_mit.ndjson") + &oracle("photos_frames.ndjson")));
    let folders = ["cmu_mit/images", "frames", "photos"].map(|folder| data().join(folder));
    let run = mtcmcn(&["detect", "--json", "--device", device], &folders);
    let got = faces(std::str::from_utf8(&run.stdout).unwrap());
    let (mut total, mut matched, mut far) = (0, 0, 0);
    for (stem, want) in &want {
        let mut left = got.get(stem).unwrap_or_else(|| panic!("{stem} was not searched: {}", String::from_utf8_lossy(&run.stderr))).clone();
        total += want.len() + left.len();
        for face in want {
            let best = left.iter().map(|other| iou(&face.0, &other.0)).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
            let Some((i, overlap)) = best else { continue };
            if overlap < 0.5 {
                continue;
            }
            let other = left.swap_remove(i);
            matched += 1;
            let near = worst(&face.0, &other.0) <= 0.05 && worst(&face.1, &other.1) <= 0.05 && (face.2 - other.2).abs() <= 0.0005;
            far += usize::from(!near);
        }
    }
    assert!(want.len() >= 135, "only {} photos in the oracle's lists", want.len());
    assert!(2 * matched >= total * 998 / 1000, "{device}: {matched} matched of {total} faces on both sides");
    assert!(far * 100 <= matched, "{device}: {far} of {matched} faces lie elsewhere");
}

#[test]
fn the_cpu_engine_finds_the_oracles_faces() {
    check("cpu");
}

#[test]
fn the_software_gpu_finds_the_oracles_faces() {
    check("llvmpipe");
}
