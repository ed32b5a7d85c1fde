//! The stages of the cascade as steps that one can walk through, with words that say what happens in each.

use mtcmcn::cascade::{Config, Judged, Proposal, Trace};
use mtcmcn::geometry::BoundingBox;

/// One step of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// P-Net's probabilities over one pyramid level.
    Heat(usize),
    /// Cells over the threshold.
    Cells,
    /// After NMS inside each level.
    LevelNms,
    /// After NMS across levels.
    Merged,
    /// What R-Net was shown.
    RnetCrops,
    /// Over R-Net's threshold.
    RnetPassed,
    /// After NMS.
    RnetNms,
    /// What O-Net was shown.
    OnetCrops,
    /// Over O-Net's threshold.
    OnetPassed,
    /// The result.
    Faces,
}

/// Every step of `trace`, in order.
pub fn walk(trace: &Trace) -> Vec<Stage> {
    use Stage::*;
    let rest = [Cells, LevelNms, Merged, RnetCrops, RnetPassed, RnetNms, OnetCrops, OnetPassed, Faces];
    (0..trace.heat.len()).map(Heat).chain(rest).collect()
}

/// A box on the picture: how likely, and whether it is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// In `image` space.
    pub bounding_box: BoundingBox,
    /// Face probability by the last net that looked.
    pub score: f32,
    /// Whether the next stage gets it.
    pub kept: bool,
}

/// What a net was shown, with its verdicts.
fn verdicts(judged: &[Judged]) -> Vec<Mark> {
    judged.iter().map(|judged| Mark { bounding_box: judged.square, score: judged.score, kept: judged.passed }).collect()
}

/// What a net was shown, as the net before saw it.
fn shown(judged: &[Judged]) -> Vec<Mark> {
    judged.iter().map(|judged| Mark { bounding_box: judged.square, score: judged.before, kept: true }).collect()
}

/// What a net let pass, where it lies then.
fn passed(judged: &[Judged]) -> Vec<Mark> {
    let passed = judged.iter().filter(|judged| judged.passed);
    passed.map(|judged| Mark { bounding_box: judged.bounding_box, score: judged.score, kept: true }).collect()
}

fn cells(cells: &[Proposal]) -> impl Iterator<Item = Mark> {
    cells.iter().map(|cell| Mark { bounding_box: cell.bounding_box, score: cell.score, kept: cell.kept })
}

impl Stage {
    /// For lists and headings.
    pub fn title(self) -> String {
        match self {
            Self::Heat(level) => format!("P-Net, level {}", level + 1),
            Self::Cells => "P-Net: candidates".to_owned(),
            Self::LevelNms => "NMS in each level".to_owned(),
            Self::Merged => "NMS across levels".to_owned(),
            Self::RnetCrops => "R-Net: crops".to_owned(),
            Self::RnetPassed => "R-Net: passed".to_owned(),
            Self::RnetNms => "NMS after R-Net".to_owned(),
            Self::OnetCrops => "O-Net: crops".to_owned(),
            Self::OnetPassed => "O-Net: passed".to_owned(),
            Self::Faces => "Faces".to_owned(),
        }
    }

    /// How many boxes it has, or `None` for a map.
    pub fn count(self, trace: &Trace) -> Option<usize> {
        match self {
            Self::Heat(_) => None,
            Self::Cells => Some(trace.cells.len()),
            Self::LevelNms => Some(trace.cells.iter().filter(|cell| cell.kept).count()),
            Self::Merged | Self::RnetCrops => Some(trace.rnet.len()),
            Self::RnetPassed => Some(trace.rnet.iter().filter(|judged| judged.passed).count()),
            Self::RnetNms | Self::OnetCrops => Some(trace.onet.len()),
            Self::OnetPassed => Some(trace.onet.iter().filter(|judged| judged.passed).count()),
            Self::Faces => Some(trace.detections.faces.len()),
        }
    }

    /// What happens here, in two or three sentences.
    pub fn lesson(self, trace: &Trace, config: &Config) -> String {
        let [p, r, o] = config.thresholds;
        match self {
            Self::Heat(level) => {
                let Some(map) = trace.heat.get(level) else { return String::new() };
                let [w, h] = map.size;
                format!(
                    "The frame at {:.0} % of its size, {w} x {h} pixels. P-Net, a small convolutional net, looks at every 12 x 12 window, two \
                     pixels apart, and says how likely a face fills it. A window is {:.0} pixels of the frame here, so each level finds \
                     faces of one size; the next level is smaller by {}.",
                    map.scale * 100.0,
                    12.0 / map.scale,
                    config.factor
                )
            }
            Self::Cells => format!(
                "Every window that P-Net gives at least {p:.2}: cheap, and generous on purpose, since what is missed here is lost. Windows of \
                 neighbours and of neighbouring levels see the same face. Those that the next step drops are grey."
            ),
            Self::LevelNms => {
                "Non-maximum suppression inside each level: of windows that overlap by more than half (intersection over union), \
                only the likeliest stays."
                    .to_owned()
            }
            Self::Merged => {
                "The same across levels, at an overlap of 0.7. Boxes move by P-Net's regression and become squares after it.".to_owned()
            }
            Self::RnetCrops => format!(
                "Each square is cut out of the frame at 24 x 24 pixels and judged again by R-Net, which is larger and slower. It lets pass what \
                 it gives more than {r:.2}: outlined in green. A good cascade loses most candidates here."
            ),
            Self::RnetPassed => "What R-Net let pass. Of those that overlap by more than 0.7 only the likeliest goes on.".to_owned(),
            Self::RnetNms => "After suppression; each box has moved by R-Net's own regression and is a square again.".to_owned(),
            Self::OnetCrops => format!(
                "The last and largest net sees 48 x 48 pixels. It gives the final score, one more regression and the five landmarks. More than \
                 {o:.2} is a face: outlined in green."
            ),
            Self::OnetPassed => {
                "O-Net's faces, moved to their final place. A last suppression compares the overlap with the smaller box, which \
                drops faces within faces."
                    .to_owned()
            }
            Self::Faces => format!(
                "What is left: {} of {} windows that P-Net looked at.",
                trace.detections.faces.len(),
                trace.heat.iter().map(|map| map.probabilities.len()).sum::<usize>()
            ),
        }
    }

    /// The boxes to draw; none for a map, and none for the result, which is drawn as ever.
    pub fn marks(self, trace: &Trace) -> Vec<Mark> {
        match self {
            Self::Heat(_) | Self::Faces => Vec::new(),
            Self::Cells => cells(&trace.cells).collect(),
            Self::LevelNms => cells(&trace.cells).filter(|mark| mark.kept).collect(),
            Self::Merged => shown(&trace.rnet),
            Self::RnetCrops => verdicts(&trace.rnet),
            Self::RnetPassed => passed(&trace.rnet),
            Self::RnetNms => shown(&trace.onet),
            Self::OnetCrops => verdicts(&trace.onet),
            Self::OnetPassed => passed(&trace.onet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(x: f32) -> BoundingBox {
        BoundingBox { x1: x, y1: 0.0, x2: x + 10.0, y2: 10.0 }
    }

    #[test]
    fn what_the_next_stage_drops_is_marked_and_then_gone() {
        let cell = |x, kept| Proposal { bounding_box: square(x), score: 0.9, level: 0, kept };
        let judged =
            |x, passed| Judged { square: square(x), bounding_box: square(x + 1.0), before: 0.8, score: 0.5, passed, pixels: Vec::new() };
        let trace = Trace {
            cells: vec![cell(0.0, true), cell(1.0, false), cell(50.0, true)],
            onet: vec![judged(0.0, false), judged(50.0, true)],
            ..Trace::default()
        };
        let kept = |stage: Stage| stage.marks(&trace).iter().map(|mark| mark.kept).collect::<Vec<_>>();
        assert_eq!((kept(Stage::Cells), kept(Stage::LevelNms)), (vec![true, false, true], vec![true, true]));
        assert_eq!((kept(Stage::OnetCrops), Stage::OnetCrops.count(&trace)), (vec![false, true], Some(2)));
        let mark = |x, score| vec![Mark { bounding_box: square(x), score, kept: true }];
        assert_eq!((Stage::OnetPassed.marks(&trace), Stage::OnetPassed.count(&trace)), (mark(51.0, 0.5), Some(1)));
        assert_eq!(Stage::RnetNms.marks(&trace)[1..], mark(50.0, 0.8));
    }
}
