//! Faces that keep their number from frame to frame, lightly smoothed.
//!
//! Boxes of one frame are assigned to tracks by greatest overlap first, which for the few faces of a frame is
//! the optimum in all but contrived cases. Positions are smoothed by the 1€ filter (Casiez, Roussel, Vogel
//! 2012): strong while a face rests, hardly at all while it moves, so that a box neither trembles nor lags.

use std::time::Instant;

use mtcmcn::Face;
use mtcmcn::geometry::BoundingBox;

/// Least overlap (intersection over union) of one face in two frames.
const LEAST_IOU: f32 = 0.3;

/// Frames for which a lost face keeps its number.
const PATIENCE: u32 = 10;

/// Frames after which a new face is more than a flicker; only then it is given a number.
const PROBATION: u32 = 2;

/// Cutoff at rest, Hz, and how fast it grows with speed (face sides a second).
const REST_HZ: f32 = 1.5;
const HZ_PER_SPEED: f32 = 14.0;

/// A face with its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tracked {
    /// As drawn: smoothed if it is tracked.
    pub face: Face,
    /// Stays with the face; `None` in its first frames.
    pub id: Option<u64>,
}

impl Tracked {
    /// Faces as they were found.
    pub fn plain(faces: &[Face]) -> Vec<Self> {
        faces.iter().map(|&face| Self { face, id: None }).collect()
    }
}

#[derive(Debug, Clone)]
struct Track {
    id: Option<u64>,
    face: Face,
    /// Speed of the box's corners, px/s, smoothed.
    speed: f32,
    seen: u32,
    missed: u32,
}

/// Follows faces through the frames of one source.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    tracks: Vec<Track>,
    last: Option<Instant>,
    ids: u64,
}

impl Tracker {
    /// Takes the faces of the next frame, which was taken `at`; returns them in the same order.
    pub fn update(&mut self, faces: &[Face], at: Instant) -> Vec<Tracked> {
        let seconds = self.last.map_or(1.0 / 30.0, |last| at.saturating_duration_since(last).as_secs_f32()).clamp(1e-3, 1.0);
        self.last = Some(at);
        let assigned = assign(&self.tracks, faces);
        for (index, track) in self.tracks.iter_mut().enumerate() {
            if !assigned.contains(&Some(index)) {
                track.missed += 1;
            }
        }
        let mut shown = Vec::with_capacity(faces.len());
        for (face, track) in faces.iter().zip(assigned) {
            let index = track.unwrap_or_else(|| {
                self.tracks.push(Track { id: None, face: *face, speed: 0.0, seen: 0, missed: 0 });
                self.tracks.len() - 1
            });
            let track = &mut self.tracks[index];
            track.follow(face, seconds);
            if track.id.is_none() && track.seen >= PROBATION {
                self.ids += 1;
                track.id = Some(self.ids);
            }
            shown.push(Tracked { face: track.face, id: track.id });
        }
        self.tracks.retain(|track| track.missed == 0 || (track.id.is_some() && track.missed <= PATIENCE));
        shown
    }

    /// The numbers of `faces`, of a frame that was shown already; nothing moves.
    pub fn recognise(&self, faces: &[Face]) -> Vec<Tracked> {
        let assigned = assign(&self.tracks, faces);
        faces.iter().zip(assigned).map(|(&face, track)| Tracked { face, id: track.and_then(|track| self.tracks[track].id) }).collect()
    }
}

impl Track {
    fn follow(&mut self, face: &Face, seconds: f32) {
        let side = face.bounding_box.width().max(face.bounding_box.height()).max(1.0);
        let (old, new) = (self.face.bounding_box, face.bounding_box);
        let moved = (old.x1 - new.x1).abs().max((old.y1 - new.y1).abs()).max((old.x2 - new.x2).abs()).max((old.y2 - new.y2).abs());
        self.speed += share(1.0, seconds) * (moved / seconds - self.speed);
        let share = if self.seen == 0 { 1.0 } else { share(REST_HZ + HZ_PER_SPEED * self.speed / side, seconds) };
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

/// The track of each face, by greatest overlap first.
fn assign(tracks: &[Track], faces: &[Face]) -> Vec<Option<usize>> {
    let pairs = faces.iter().enumerate().flat_map(|(face, found)| {
        tracks.iter().enumerate().map(move |(track, known)| (known.face.bounding_box.iou(&found.bounding_box), face, track))
    });
    let mut pairs: Vec<_> = pairs.filter(|(iou, ..)| *iou >= LEAST_IOU).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut assigned = vec![None; faces.len()];
    for (_, face, track) in pairs {
        if assigned[face].is_none() && !assigned.contains(&Some(track)) {
            assigned[face] = Some(track);
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn face(x: f32, y: f32, side: f32) -> Face {
        let bounding_box = BoundingBox { x1: x, y1: y, x2: x + side, y2: y + side };
        let mut face = Face { bounding_box, score: 0.9, landmarks: mtcmcn::geometry::ALIGNED_112 };
        face.landmarks.iter_mut().for_each(|point| {
            point.x = x + point.x * side / 112.0;
            point.y = y + point.y * side / 112.0;
        });
        face
    }

    struct Clock(Instant);

    impl Clock {
        fn tick(&mut self) -> Instant {
            self.0 += Duration::from_millis(33);
            self.0
        }
    }

    #[test]
    fn numbers_stay_while_faces_move_and_cross_order() {
        let (mut tracker, mut clock) = (Tracker::default(), Clock(Instant::now()));
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
        let (mut tracker, mut clock) = (Tracker::default(), Clock(Instant::now()));
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
        let (mut tracker, mut clock) = (Tracker::default(), Clock(Instant::now()));
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
        let (mut tracker, mut clock) = (Tracker::default(), Clock(Instant::now()));
        (0..5).for_each(|_| drop(tracker.update(&[face(10.0, 10.0, 50.0)], clock.tick())));
        let before = format!("{tracker:?}");
        let again = tracker.recognise(&[face(14.0, 10.0, 50.0), face(300.0, 10.0, 50.0)]);
        assert_eq!((again[0].id, again[0].face, again[1].id), (Some(1), face(14.0, 10.0, 50.0), None));
        assert_eq!(format!("{tracker:?}"), before);
    }

    #[test]
    fn three_hundred_faces_and_none_are_no_trouble() {
        let (mut tracker, mut clock) = (Tracker::default(), Clock(Instant::now()));
        let many: Vec<Face> = (0..300).map(|i| face((i % 20) as f32 * 40.0, (i / 20) as f32 * 40.0, 30.0)).collect();
        (0..4).for_each(|_| drop(tracker.update(&many, clock.tick())));
        let ids: std::collections::BTreeSet<_> = tracker.recognise(&many).iter().map(|tracked| tracked.id).collect();
        assert_eq!((ids.len(), ids.contains(&None)), (300, false));
        (0..20).for_each(|_| drop(tracker.update(&[], clock.tick())));
        assert!(tracker.tracks.is_empty());
    }
}
