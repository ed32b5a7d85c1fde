//! The stages of the cascade as steps that one can walk through, with words that say what happens in each.

use mtcmcn::cascade::{Config, Judged, Proposal, Trace};

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
    /// The box with its score.
    pub proposal: Proposal,
    /// Whether the next stage gets it.
    pub kept: bool,
}

/// Whether `kept` has a box of the same place and score.
fn holds(kept: &[Proposal], proposal: &Proposal) -> bool {
    kept.iter().any(|other| other.bounding_box == proposal.bounding_box && other.score == proposal.score)
}

fn marks(all: &[Proposal], kept: Option<&[Proposal]>) -> Vec<Mark> {
    all.iter().map(|&proposal| Mark { proposal, kept: kept.is_none_or(|kept| holds(kept, &proposal)) }).collect()
}

fn judged(all: &[Judged]) -> Vec<Mark> {
    all.iter().map(|judged| Mark { proposal: judged.proposal, kept: judged.passed }).collect()
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
            Self::LevelNms => Some(trace.level_nms.len()),
            Self::Merged => Some(trace.merged.len()),
            Self::RnetCrops => Some(trace.rnet.len()),
            Self::RnetPassed => Some(trace.rnet_passed.len()),
            Self::RnetNms => Some(trace.rnet_nms.len()),
            Self::OnetCrops => Some(trace.onet.len()),
            Self::OnetPassed => Some(trace.onet_passed.len()),
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
            Self::RnetPassed => "What R-Net let pass. Those that overlap a likelier one by more than 0.7 are grey and go next.".to_owned(),
            Self::RnetNms => "After suppression; each box moves by R-Net's own regression before O-Net looks.".to_owned(),
            Self::OnetCrops => format!(
                "The last and largest net sees 48 x 48 pixels. It gives the final score, one more regression and the five landmarks. More than \
                 {o:.2} is a face: outlined in green."
            ),
            Self::OnetPassed => {
                "O-Net's faces, moved to their final place. A last suppression compares the overlap with the smaller box, which \
                drops faces within faces (grey)."
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
            Self::Cells => marks(&trace.cells, Some(&trace.level_nms)),
            Self::LevelNms => marks(&trace.level_nms, Some(&trace.merged)),
            Self::Merged => marks(&trace.merged, None),
            Self::RnetCrops => judged(&trace.rnet),
            Self::RnetPassed => marks(&trace.rnet_passed, Some(&trace.rnet_nms)),
            Self::RnetNms => marks(&trace.rnet_nms, None),
            Self::OnetCrops => judged(&trace.onet),
            Self::OnetPassed => marks(&trace.onet_passed, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use mtcmcn::geometry::BoundingBox;

    use super::*;

    fn proposal(x: f32, score: f32) -> Proposal {
        Proposal { bounding_box: BoundingBox { x1: x, y1: 0.0, x2: x + 10.0, y2: 10.0 }, score, level: None }
    }

    #[test]
    fn what_the_next_stage_drops_is_marked() {
        let all = [proposal(0.0, 0.9), proposal(1.0, 0.8), proposal(50.0, 0.7)];
        let marks = marks(&all, Some(&[all[0], all[2]]));
        assert_eq!(marks.iter().map(|mark| mark.kept).collect::<Vec<_>>(), [true, false, true]);
    }
}
