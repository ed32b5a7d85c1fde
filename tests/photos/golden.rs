//! The golden runs: nets on a formula, the cascade on one photo.

use mtcmcn::engine::compare::replay;
use mtcmcn::nets::{Fused, Net, ONET, PNET, RNET};
use mtcmcn::record::Recording;
use mtcmcn::tensor::Shape;

use crate::{detector, engine, photo, weights};

const ENGINES: [&str; 4] = ["twin", "cpu", "software", "gl"];

/// `v(c, y, x) = (((7c + 3y + 5x) mod 17) - 8) / 8`.
fn formula(side: usize) -> Vec<f32> {
    (0..3 * side * side)
        .map(|i| {
            let (c, y, x) = (i / (side * side), i / side % side, i % side);
            ((7 * c + 3 * y + 5 * x) % 17) as f32 / 8.0 - 1.0
        })
        .collect()
}

/// Output of `net` for the formula at `side x side`.
fn run(name: &str, net: Net, side: u32) -> Vec<f32> {
    let engine = engine(name);
    let mut recording = Recording::new();
    let shape = Shape::new([1, 3, side, side]).unwrap();
    let x = recording.slot("x", shape.elements() as usize);
    let forward = Fused::whole(net, &mut recording, weights(), engine.facts()).unwrap();
    let (y, _) = forward.record(&mut recording, x, &shape).unwrap();
    recording.output(y);
    let mut session = engine.load(recording).unwrap();
    session.write(x, bytemuck::cast_slice(&formula(side as usize)));
    session.play().unwrap().remove(0).1
}

fn probability(background: f32, face: f32) -> f32 {
    1.0 / (1.0 + (background - face).exp())
}

fn close(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let within = (got - want).abs() <= 2e-6 + 1e-5 * want.abs();
        assert!(within, "{what} [{i}]: got {got}, want {want}");
    }
}

#[test]
fn nets_give_the_golden_numbers_on_every_engine() {
    for name in ENGINES {
        let p = run(name, PNET, 12);
        close(&[probability(p[0], p[1])], &[0.009_917_0], name);
        close(&p[2..], &[0.199_555, 0.153_415, -0.179_042, -0.018_791], name);
        let map = run(name, PNET, 16);
        let map: Vec<f32> = (0..9).map(|i| probability(map[i], map[9 + i])).collect();
        let rows = [0.009_917, 0.019_661, 0.032_241, 0.017_652, 0.008_345, 0.019_907, 0.037_805, 0.016_895, 0.022_212];
        close(&map, &rows, name);
        let r = run(name, RNET, 24);
        close(&[probability(r[0], r[1])], &[0.000_515_33], name);
        close(&r[2..], &[0.062_014, 0.011_913, -0.043_056, 0.128_353], name);
        let o = run(name, ONET, 48);
        close(&[probability(o[0], o[1])], &[0.000_583_01], name);
        close(&o[2..6], &[0.010_515, -0.120_172, 0.034_096, 0.175_808], name);
        close(&o[6..11], &[0.195_328, 0.518_210, 0.291_199, 0.323_553, 0.595_030], name);
        close(&o[11..], &[0.348_518, 0.204_490, 0.569_396, 0.896_267, 0.785_206], name);
    }
}

#[test]
fn the_golden_photo_gives_its_counts_faces_and_landmarks_on_every_engine() {
    let frame = photo("photos/ivan.png");
    for name in ENGINES {
        let found = detector(name).detect(&frame).unwrap();
        let c = found.counts;
        let counts = [c.level_nms, c.merged, c.rnet, c.rnet_nms, c.onet, c.faces];
        assert_eq!(counts, [265, 265, 28, 21, 9, 2], "{name}");
        assert!(!found.truncated, "{name}");
        // The spec's numbers are 1-based corners; callers get pixel edges.
        let want = [(0.999_97, [277.82 - 1.0, 93.74 - 1.0, 326.65, 155.54]), (0.865_72, [307.74 - 1.0, 173.42 - 1.0, 344.69, 228.43])];
        assert_eq!(found.faces.len(), want.len(), "{name}");
        for (face, (score, edges)) in found.faces.iter().zip(want) {
            let b = face.bounding_box;
            near(&[face.score], &[score], 0.0005, name);
            near(&[b.x1, b.y1, b.x2, b.y2], &edges, 0.05, name);
        }
        let points: Vec<f32> = found.faces[0].landmarks.iter().flat_map(|p| [p.x, p.y]).collect();
        near(&points, &[291.24, 117.26, 314.56, 115.46, 304.08, 130.99, 296.95, 143.15, 313.37, 142.23], 0.05, name);
        assert_eq!(detector(name).detect(&photo("photos/no-faces.png")).unwrap().faces, [], "{name}");
    }
}

fn near(got: &[f32], want: &[f32], limit: f32, what: &str) {
    for (got, want) in got.iter().zip(want) {
        let within = (got - want).abs() <= limit;
        assert!(within, "{what}: got {got}, want {want}");
    }
}

#[test]
fn every_step_and_every_list_of_the_gpu_cascade_equals_the_twins() {
    let frame = photo("photos/ivan.png");
    for name in ["software", "gl", "cpu"] {
        let replayed = replay(&mut detector(name).session(&frame).unwrap()).unwrap();
        assert_eq!(replayed.first, None, "{name}");
        // And end to end, each engine on its own numbers: the lists hold the same boxes in the same order.
        let [mut own, mut twin] = [name, "twin"].map(|name| detector(name).session(&frame).unwrap());
        own.play().unwrap();
        twin.play().unwrap();
        for label in ["cells", "R-Net", "R-Net scored", "O-Net", "O-Net scored", "faces"] {
            let label = format!("{label} candidates");
            let (own, twin) = (list(&own, &label), list(&twin, &label));
            for (i, (own, twin)) in own.iter().zip(&twin).enumerate() {
                near(&own[..4], &twin[..4], 0.001, &format!("{name}: {label} {i}"));
            }
        }
    }
}

/// The candidates in the slot called `label`, twelve words each.
fn list(session: &mtcmcn::engine::Session, label: &str) -> Vec<Vec<f32>> {
    let recording = session.recording();
    let slot = recording.steps().iter().flat_map(|step| &step.slots).find(|slot| recording.slots()[slot.index()].label == label);
    session.peek(*slot.unwrap_or_else(|| panic!("no slot {label}"))).unwrap().chunks(12).map(<[f32]>::to_vec).collect()
}
