//! Merging of a teacher's detections with the labels of an image.

use crate::data::Annotation;
use crate::geometry::{BoundingBox, Landmarks};
use crate::train::config::TeacherConfig;

/// A face detected by a teacher.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Box of the face.
    pub bounding_box: BoundingBox,
    /// Whether the box follows the convention that the nets are to learn, so that a label takes it.
    pub exact: bool,
    /// Landmarks of the face, if they are sure enough to learn from.
    pub landmarks: Option<Landmarks>,
    /// Face probability.
    pub score: f32,
}

/// Merges the faces `own` of the teacher with those that an `other` detector sees in the same image, both
/// best first.
///
/// A face that both see has the box of the teacher and a score of 1; where the teacher's landmarks are not
/// sure it has the other's. A face that only one of them sees has a score for which [`merge`] ignores it
/// beside the labels: of the teacher's, those that it would accept.
pub fn agree(own: &[Seen], other: &[Seen], config: &TeacherConfig) -> Vec<Seen> {
    let doubtful = (config.accept - f32::EPSILON).max(config.ignore);
    let mut taken = vec![false; other.len()];
    let mut seen: Vec<Seen> = Vec::with_capacity(own.len() + other.len());
    for face in own {
        let same = (0..other.len()).find(|&at| !taken[at] && other[at].bounding_box.iou(&face.bounding_box) >= config.overlap);
        seen.push(match same {
            Some(at) => {
                taken[at] = true;
                Seen { score: 1.0, landmarks: face.landmarks.or(other[at].landmarks), ..*face }
            }
            None => Seen { score: face.score.min(doubtful), ..*face },
        });
    }
    seen.extend(other.iter().zip(taken).filter(|(_, taken)| !taken).map(|(face, _)| Seen { score: doubtful, ..*face }));
    seen.sort_by(|a, b| b.score.total_cmp(&a.score));
    seen
}

/// Merges the `labels` of an image, whose boxes follow the teacher's convention, with the faces `seen` by the
/// teacher, best first.
///
/// A label that the teacher detects takes over its box, if that is exact, and its landmarks, if the label has
/// none. A label that it does not detect is kept, but is ignored if it is too small to be
/// detected. A detection without a label is added as a face if the teacher is confident, as an ignored face
/// if it is less so, and dropped otherwise; if labels are `complete`, it is added as an ignored face if the
/// teacher is confident, and dropped otherwise.
pub fn merge(labels: &[Annotation], seen: &[Seen], complete: bool, config: &TeacherConfig) -> Vec<Annotation> {
    let (face, of_no_use) = if complete { (f32::INFINITY, config.accept) } else { (config.accept, config.ignore) };
    let mut faces = labels.to_vec();
    let mut matched = vec![false; labels.len()];
    for seen in seen {
        let overlap = |face: &Annotation| face.bounding_box.iou(&seen.bounding_box);
        let best = (0..labels.len()).max_by(|&a, &b| overlap(&labels[a]).total_cmp(&overlap(&labels[b])));
        match best.filter(|&best| overlap(&labels[best]) >= config.overlap) {
            // A second detection of the same label is dropped.
            Some(best) if matched[best] => {}
            Some(best) => {
                matched[best] = true;
                if seen.exact {
                    faces[best].bounding_box = seen.bounding_box;
                }
                faces[best].landmarks = faces[best].landmarks.or(seen.landmarks);
            }
            None if seen.score >= of_no_use => {
                let ignore = seen.score < face;
                faces.push(Annotation { landmarks: seen.landmarks.filter(|_| !ignore), ignore, ..Annotation::new(seen.bounding_box) });
            }
            None => {}
        }
    }
    for (face, _) in faces.iter_mut().zip(matched).filter(|(_, matched)| !matched) {
        let b = face.bounding_box;
        face.ignore |= f64::from(b.width().max(b.height())) < config.min_label_px;
    }
    faces
}

/// Greedy non-maximum suppression: keeps of `seen`, best first, the faces that share at most `limit` of the
/// smaller box with any better one.
pub fn suppress(mut seen: Vec<Seen>, limit: f32) -> Vec<Seen> {
    seen.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Seen> = Vec::new();
    for one in seen {
        let covers = |other: &Seen| {
            let smaller = one.bounding_box.area().min(other.bounding_box.area());
            one.bounding_box.intersection(&other.bounding_box) > limit * smaller
        };
        if !kept.iter().any(covers) {
            kept.push(one);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use glam::Vec2;

    use super::*;
    use crate::train::config::TrainConfig;

    fn square(x: f32, side: f32) -> BoundingBox {
        BoundingBox { x1: x, y1: 0.0, x2: x + side, y2: side }
    }

    fn seen(x: f32, side: f32, score: f32) -> Seen {
        Seen { bounding_box: square(x, side), exact: true, landmarks: (score >= 0.98).then_some([Vec2::splat(x); 5]), score }
    }

    fn teacher() -> TeacherConfig {
        TrainConfig::default().teacher
    }

    #[test]
    fn a_label_takes_the_box_that_the_teacher_sees_and_keeps_its_own_points() {
        let own = Annotation { landmarks: Some([Vec2::ONE; 5]), ..Annotation::new(square(0.0, 50.0)) };
        let bare = Annotation::new(square(100.0, 50.0));
        let all = [seen(103.0, 50.0, 0.99), seen(3.0, 50.0, 0.99), seen(101.0, 48.0, 0.9)];
        let faces = merge(&[own, bare], &all, false, &teacher());
        assert_eq!(faces.len(), 2, "the second on one label is nobody");
        assert_eq!((faces[0].bounding_box, faces[0].landmarks), (square(3.0, 50.0), own.landmarks));
        assert_eq!((faces[1].bounding_box, faces[1].landmarks), (square(103.0, 50.0), Some([Vec2::splat(103.0); 5])));
        // Landmarks of an unconfident teacher are not used.
        assert_eq!(merge(&[bare], &[seen(103.0, 50.0, 0.6)], false, &teacher())[0].landmarks, None);
    }

    #[test]
    fn what_is_seen_beside_labels_is_a_face_of_no_use_or_nothing() {
        let all = [seen(0.0, 50.0, 0.99), seen(100.0, 50.0, 0.6), seen(200.0, 50.0, 0.2)];
        let faces =
            |complete| merge(&[], &all, complete, &teacher()).iter().map(|face| (face.bounding_box.x1, face.ignore)).collect::<Vec<_>>();
        assert_eq!(faces(false), [(0.0, false), (100.0, true)]);
        assert_eq!(faces(true), [(0.0, true)]);
    }

    #[test]
    fn a_label_that_is_not_seen_stays_unless_it_is_tiny() {
        let labels = [Annotation::new(square(0.0, 50.0)), Annotation::new(square(100.0, 10.0))];
        assert_eq!(merge(&labels, &[], false, &teacher()).iter().map(|face| face.ignore).collect::<Vec<_>>(), [false, true]);
        assert!(!merge(&labels, &[seen(100.0, 11.0, 0.9)], false, &teacher())[1].ignore, "a tiny one that is seen is a face");
    }

    #[test]
    fn what_two_teachers_see_is_certain_and_what_one_sees_is_not() {
        let other = |x: f32, score| Seen { exact: false, landmarks: Some([Vec2::splat(-x); 5]), ..seen(x, 50.0, score) };
        let own = [seen(0.0, 50.0, 0.99), seen(100.0, 50.0, 0.99), seen(200.0, 50.0, 0.6), seen(300.0, 50.0, 0.2)];
        let both = agree(&own, &[other(202.0, 0.9), other(3.0, 0.5), other(400.0, 0.9)], &teacher());
        let faces = merge(&[], &both, false, &teacher());
        let told: Vec<_> = faces.iter().map(|face| (face.bounding_box.x1, face.ignore, face.landmarks.map(|points| points[0].x))).collect();
        assert_eq!(told, [(0.0, false, Some(0.0)), (200.0, false, Some(-202.0)), (100.0, true, None), (400.0, true, None)]);
        assert_eq!(merge(&[], &both, true, &teacher()).len(), 2, "beside complete labels the certain ones are of no use");
        let label = Annotation::new(square(404.0, 50.0));
        let faces = merge(&[label], &both, false, &teacher());
        assert_eq!((faces[0].bounding_box, faces[0].landmarks), (label.bounding_box, Some([Vec2::splat(-400.0); 5])));
    }

    #[test]
    fn of_boxes_that_cover_each_other_the_best_stays() {
        let kept = suppress(vec![seen(0.0, 50.0, 0.5), seen(2.0, 50.0, 0.9), seen(40.0, 50.0, 0.3), seen(10.0, 20.0, 0.2)], 0.7);
        assert_eq!(kept.iter().map(|seen| seen.score).collect::<Vec<_>>(), [0.9, 0.3]);
    }
}
