//! Synthetic annotations and detections by the same rule as in `tools/golden_eval.py`: a stream of
//! `SplitMix64`, in whole eighths of a pixel.

use mtcmcn::data::{Annotation, Detection};
use mtcmcn::geometry::BoundingBox;

/// Random number generator `SplitMix64` (Steele, Lea and Flood 2014).
pub struct Stream(pub u64);

impl Stream {
    /// Draws a number approximately uniform in `0..n`.
    pub fn pick(&mut self, n: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 33) % n as u64) as i64
    }
}

/// Box as x, y, width, height in eighths of a pixel.
pub type Sides = [i64; 4];

pub fn bounding_box([x, y, width, height]: Sides) -> BoundingBox {
    let [x1, y1, x2, y2] = [x, y, x + width, y + height].map(|eighths| eighths as f32 / 8.0);
    BoundingBox { x1, y1, x2, y2 }
}

/// A synthetic face with its easiness, 0 to 3.
pub struct MadeUp {
    pub sides: Sides,
    pub face: Annotation,
    pub easiness: i64,
}

/// Creates forty images of faces.
pub fn faces(stream: &mut Stream) -> Vec<Vec<MadeUp>> {
    let face = |stream: &mut Stream| {
        let sides = [stream.pick(6400), stream.pick(4800), 64 + stream.pick(1200), 64 + stream.pick(1200)];
        let mut face = Annotation::new(bounding_box(sides));
        face.attributes.occlusion = stream.pick(3) as u8;
        let easiness = stream.pick(4);
        face.attributes.invalid = stream.pick(16) == 0;
        face.ignore = face.attributes.invalid;
        MadeUp { sides, face, easiness }
    };
    (0..40).map(|_| (0..stream.pick(13)).map(|_| face(stream)).collect()).collect()
}

pub fn shifted(stream: &mut Stream, [x, y, width, height]: Sides) -> Sides {
    let dx = (width * (stream.pick(17) - 8)).div_euclid(32);
    let dy = (height * (stream.pick(17) - 8)).div_euclid(32);
    [x + dx, y + dy, width, height]
}

/// Creates the detections of one image, best first; equal scores keep the order in which they were created.
pub fn detections(kind: &str, stream: &mut Stream, boxes: &[Sides]) -> Vec<Detection> {
    let mut found: Vec<(Sides, i64)> = Vec::new();
    for &sides in boxes {
        match kind {
            "truth" => found.push((sides, 4096)),
            "shifted" => found.push((shifted(stream, sides), 1 + stream.pick(4096))),
            "doubled" => {
                found.push((sides, 1 + stream.pick(4096)));
                found.push((shifted(stream, sides), 1 + stream.pick(4096)));
            }
            "random" => {
                if stream.pick(3) > 0 {
                    found.push((shifted(stream, sides), 1 + stream.pick(64)));
                }
            }
            other => panic!("no kind {other:?}"),
        }
    }
    if kind == "random" {
        for _ in 0..stream.pick(8) {
            let sides = [stream.pick(6400), stream.pick(4800), 64 + stream.pick(800), 64 + stream.pick(800)];
            found.push((sides, 1 + stream.pick(64)));
        }
    }
    let detection =
        |(sides, score): (Sides, i64)| Detection { bounding_box: bounding_box(sides), score: score as f64 / 4096.0, landmarks: None };
    let mut found: Vec<Detection> = found.into_iter().map(detection).collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found
}
