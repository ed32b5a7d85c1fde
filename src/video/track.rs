//! Faces that keep their number from frame to frame, lightly smoothed.
//!
//! Boxes of one frame are assigned to tracks by greatest overlap first, which for the few faces of a frame is
//! the optimum in all but contrived cases; a track expects its face where its motion so far leads. Positions
//! are smoothed by the 1€ filter (Casiez, Roussel, Vogel 2012): strong while a face rests, hardly at all
//! while it moves, so that a box neither trembles nor lags.

use glam::Vec2;

use crate::cascade::Face;
use crate::geometry::BoundingBox;

/// Least overlap (intersection over union) of one face in two frames.
const LEAST_IOU: f32 = 0.3;

/// Number of frames for which a lost face keeps its number.
const PATIENCE: u32 = 10;

/// Cutoff at rest, Hz, and how fast it grows with speed (face sides a second).
const REST_HZ: f32 = 1.5;
const HZ_PER_SPEED: f32 = 14.0;

/// Cutoff of the motion that a track expects to go on, Hz.
const MOTION_HZ: f32 = 4.0;

/// A face with its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tracked {
    /// The face, smoothed if it is tracked.
    pub face: Face,
    /// Number that stays with the face, from 1; `None` while it is on probation.
    pub id: Option<u64>,
}

impl Tracked {
    /// Returns faces as they were found, without numbers.
    pub fn plain(faces: &[Face]) -> Vec<Self> {
        faces.iter().map(|&face| Self { face, id: None }).collect()
    }
}

#[derive(Debug, Clone)]
struct Track {
    id: Option<u64>,
    /// The face as shown.
    face: Face,
    /// Box in the frame in which it was seen last.
    seen_at: BoundingBox,
    /// Time of that frame, seconds.
    seconds: f64,
    /// Motion of the box's centre, px/s.
    motion: Vec2,
    /// Speed of the box's corners, px/s, smoothed.
    speed: f32,
    seen: u32,
    missed: u32,
}

/// Follows faces through the frames of one source.
#[derive(Debug, Clone)]
pub struct Tracker {
    tracks: Vec<Track>,
    probation: u32,
    last: Option<f64>,
    ids: u64,
}

impl Tracker {
    /// Creates a tracker that gives a face its number in the `probation`-th frame in which it is seen: 1
    /// gives every face a number at once, 2 none to one that only flickers up.
    pub fn new(probation: u32) -> Self {
        Self { tracks: Vec::new(), probation, last: None, ids: 0 }
    }

    /// Takes the faces of the next frame, shown `seconds` after any fixed moment, and returns them in the
    /// same order.
    pub fn update(&mut self, faces: &[Face], seconds: f64) -> Vec<Tracked> {
        let step = self.last.map_or(1.0 / 30.0, |last| seconds - last).clamp(1e-3, 1.0) as f32;
        self.last = Some(seconds);
        let expected: Vec<BoundingBox> = self.tracks.iter().map(|track| track.expected(seconds)).collect();
        let assigned = assign(&expected, faces);
        for (index, track) in self.tracks.iter_mut().enumerate() {
            if !assigned.contains(&Some(index)) {
                track.missed += 1;
            }
        }
        let mut shown = Vec::with_capacity(faces.len());
        for (face, track) in faces.iter().zip(assigned) {
            let index = track.unwrap_or_else(|| {
                self.tracks.push(Track::new(face, seconds));
                self.tracks.len() - 1
            });
            let track = &mut self.tracks[index];
            track.follow(face, seconds, step);
            if track.id.is_none() && track.seen >= self.probation {
                self.ids += 1;
                track.id = Some(self.ids);
            }
            shown.push(Tracked { face: track.face, id: track.id });
        }
        self.tracks.retain(|track| track.missed == 0 || (track.id.is_some() && track.missed <= PATIENCE));
        shown
    }

    /// Returns `faces`, of the frame that was taken last, with their numbers; nothing moves.
    pub fn recognise(&self, faces: &[Face]) -> Vec<Tracked> {
        let seen_at: Vec<BoundingBox> = self.tracks.iter().map(|track| track.seen_at).collect();
        let assigned = assign(&seen_at, faces);
        faces.iter().zip(assigned).map(|(&face, track)| Tracked { face, id: track.and_then(|track| self.tracks[track].id) }).collect()
    }
}

fn centre(b: &BoundingBox) -> Vec2 {
    Vec2::new(b.x1 + b.x2, b.y1 + b.y2) / 2.0
}

impl Track {
    fn new(face: &Face, seconds: f64) -> Self {
        Self { id: None, face: *face, seen_at: face.bounding_box, seconds, motion: Vec2::ZERO, speed: 0.0, seen: 0, missed: 0 }
    }

    /// Returns where the face should be at `seconds`, if it goes on as it did.
    fn expected(&self, seconds: f64) -> BoundingBox {
        let (b, moved) = (self.seen_at, self.motion * (seconds - self.seconds) as f32);
        BoundingBox { x1: b.x1 + moved.x, y1: b.y1 + moved.y, x2: b.x2 + moved.x, y2: b.y2 + moved.y }
    }

    /// Takes the face in a frame that is `step` seconds after the frame before.
    fn follow(&mut self, face: &Face, seconds: f64, step: f32) {
        let new = face.bounding_box;
        let since = ((seconds - self.seconds) as f32).clamp(1e-3, 1.0);
        let motion = (centre(&new) - centre(&self.seen_at)) / since;
        self.motion = if self.seen <= 1 { motion } else { self.motion.lerp(motion, share(MOTION_HZ, since)) };
        (self.seen_at, self.seconds) = (new, seconds);
        let side = new.width().max(new.height()).max(1.0);
        let old = self.face.bounding_box;
        let moved = (old.x1 - new.x1).abs().max((old.y1 - new.y1).abs()).max((old.x2 - new.x2).abs()).max((old.y2 - new.y2).abs());
        self.speed += share(1.0, step) * (moved / step - self.speed);
        let share = if self.seen == 0 { 1.0 } else { share(REST_HZ + HZ_PER_SPEED * self.speed / side, step) };
        let mix = |old: f32, new: f32| old + share * (new - old);
        self.face = Face {
            bounding_box: BoundingBox {
                x1: mix(old.x1, new.x1),
                y1: mix(old.y1, new.y1),
                x2: mix(old.x2, new.x2),
                y2: mix(old.y2, new.y2),
            },
            score: face.score,
            landmarks: std::array::from_fn(|k| self.face.landmarks[k].lerp(face.landmarks[k], share)),
        };
        self.seen += 1;
        self.missed = 0;
    }
}

/// How much of a step a first-order low-pass of `hz` takes in `seconds`.
fn share(hz: f32, seconds: f32) -> f32 {
    let r = std::f32::consts::TAU * hz * seconds;
    r / (r + 1.0)
}

/// The box of each face, by greatest overlap first.
fn assign(known: &[BoundingBox], faces: &[Face]) -> Vec<Option<usize>> {
    let pairs = faces
        .iter()
        .enumerate()
        .flat_map(|(face, found)| known.iter().enumerate().map(move |(track, known)| (known.iou(&found.bounding_box), face, track)));
    let mut pairs: Vec<_> = pairs.filter(|(iou, ..)| *iou >= LEAST_IOU).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut assigned = vec![None; faces.len()];
    let mut taken = vec![false; known.len()];
    for (_, face, track) in pairs {
        if assigned[face].is_none() && !taken[track] {
            assigned[face] = Some(track);
            taken[track] = true;
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBATION: u32 = 2;

    fn face(x: f32, y: f32, side: f32) -> Face {
        let bounding_box = BoundingBox { x1: x, y1: y, x2: x + side, y2: y + side };
        let mut face = Face { bounding_box, score: 0.9, landmarks: crate::geometry::ALIGNED_112 };
        face.landmarks.iter_mut().for_each(|point| {
            point.x = x + point.x * side / 112.0;
            point.y = y + point.y * side / 112.0;
        });
        face
    }

    struct Ticks(f64);

    impl Ticks {
        fn tick(&mut self) -> f64 {
            self.0 += 0.033;
            self.0
        }
    }

    #[test]
    fn numbers_stay_while_faces_move_and_cross_order() {
        let (mut tracker, mut clock) = (Tracker::new(PROBATION), Ticks(0.0));
        let mut ids = Vec::new();
        for n in 0..30 {
            let (a, b) = (face(10.0 + 4.0 * n as f32, 50.0, 60.0), face(400.0 - 3.0 * n as f32, 60.0, 80.0));
            let faces = if n % 2 == 0 { [a, b] } else { [b, a] };
            let shown = tracker.update(&faces, clock.tick());
            let id = |i: usize| shown[if n % 2 == 0 { i } else { 1 - i }].id;
            ids.push([id(0), id(1)]);
        }
        assert_eq!(ids[0], [None, None]);
        assert!(ids[2..].iter().all(|pair| pair == &ids[2]) && ids[2][0] != ids[2][1] && ids[2][0].is_some(), "{ids:?}");
    }

    #[test]
    fn a_face_that_is_hidden_for_a_moment_keeps_its_number_and_a_new_one_gets_another() {
        let (mut tracker, mut clock) = (Tracker::new(PROBATION), Ticks(0.0));
        let mut show = |faces: &[Face]| tracker.update(faces, clock.tick()).first().and_then(|tracked| tracked.id);
        for _ in 0..5 {
            show(&[face(10.0, 10.0, 50.0)]);
        }
        for _ in 0..PATIENCE {
            show(&[]);
        }
        assert_eq!(show(&[face(12.0, 10.0, 50.0)]), Some(1));
        for _ in 0..=PATIENCE {
            show(&[]);
        }
        for _ in 0..PROBATION {
            show(&[face(12.0, 10.0, 50.0)]);
        }
        assert_eq!(show(&[face(12.0, 10.0, 50.0)]), Some(2));
    }

    #[test]
    fn a_resting_box_trembles_less_and_a_moving_one_does_not_lag() {
        let (mut tracker, mut clock) = (Tracker::new(PROBATION), Ticks(0.0));
        let mut most = 0.0f32;
        for n in 0..60 {
            let shake = if n % 2 == 0 { 1.0 } else { -1.0 };
            let shown = tracker.update(&[face(100.0 + shake, 100.0, 80.0)], clock.tick());
            if n > 10 {
                most = most.max((shown[0].face.bounding_box.x1 - 100.0).abs());
            }
        }
        assert!(most < 0.75, "{most}");
        let mut lag = 0.0f32;
        for n in 1..40 {
            let x = 100.0 + 8.0 * n as f32;
            let shown = tracker.update(&[face(x, 100.0, 80.0)], clock.tick());
            if n > 10 {
                lag = lag.max((shown[0].face.bounding_box.x1 - x).abs());
            }
        }
        assert!(lag < 8.0, "less than one frame behind: {lag}");
    }

    #[test]
    fn a_frame_seen_again_moves_nothing() {
        let (mut tracker, mut clock) = (Tracker::new(PROBATION), Ticks(0.0));
        (0..5).for_each(|_| drop(tracker.update(&[face(10.0, 10.0, 50.0)], clock.tick())));
        let before = format!("{tracker:?}");
        let again = tracker.recognise(&[face(14.0, 10.0, 50.0), face(300.0, 10.0, 50.0)]);
        assert_eq!((again[0].id, again[0].face, again[1].id), (Some(1), face(14.0, 10.0, 50.0), None));
        assert_eq!(format!("{tracker:?}"), before);
    }

    #[test]
    fn three_hundred_faces_and_none_are_no_trouble() {
        let (mut tracker, mut clock) = (Tracker::new(PROBATION), Ticks(0.0));
        let many: Vec<Face> = (0..300).map(|i| face((i % 20) as f32 * 40.0, (i / 20) as f32 * 40.0, 30.0)).collect();
        (0..4).for_each(|_| drop(tracker.update(&many, clock.tick())));
        let ids: std::collections::BTreeSet<_> = tracker.recognise(&many).iter().map(|tracked| tracked.id).collect();
        assert_eq!((ids.len(), ids.contains(&None)), (300, false));
        (0..20).for_each(|_| drop(tracker.update(&[], clock.tick())));
        assert!(tracker.tracks.is_empty());
    }

    #[test]
    fn a_fast_face_seen_now_and_then_keeps_its_number_and_a_first_sight_may_count() {
        let (mut tracker, mut ids) = (Tracker::new(1), Vec::new());
        let mut x = 0.0;
        for n in 0..40 {
            // Soon it moves by twice its side from frame to frame.
            x += (5.0 + 15.0 * n as f32).min(80.0);
            ids.extend(tracker.update(&[face(x, 10.0, 40.0)], 0.4 * f64::from(n)).iter().map(|tracked| tracked.id));
        }
        assert_eq!(ids, [Some(1); 40]);
    }
}
