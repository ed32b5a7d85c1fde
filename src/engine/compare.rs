//! Comparison of an engine with the twin, up to the first step and element that differ.

use crate::engine::{EngineError, Session};
use crate::record::{Access, Element, Recording};

/// An element that differs by more than its tolerance.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Index of the step in the recording.
    pub step: usize,
    /// Name of the step's kernel.
    pub kernel: &'static str,
    /// Label of the slot that differs.
    pub slot: String,
    /// Index of the element in that slot.
    pub element: usize,
    /// Value computed by the engine, with integers as numbers.
    pub got: f64,
    /// Value computed by the twin from the same inputs.
    pub want: f64,
    /// Largest difference allowed.
    pub tolerance: f32,
}

/// Result of [`replay`].
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The first difference, if any.
    pub first: Option<Difference>,
    /// Number of steps compared.
    pub steps: usize,
    /// Largest error relative to its tolerance over all floats; 0 if all are equal.
    pub worst: f64,
}

/// Returns the index of the first element of `got` that is not within `tolerance` of `want`. A NaN on either
/// side counts as different.
pub fn first_difference(got: &[f32], want: &[f32], tolerance: f32) -> Option<usize> {
    if got.len() != want.len() {
        return Some(got.len().min(want.len()));
    }
    got.iter().zip(want).position(|(got, want)| {
        let within = got == want || (got - want).abs() <= tolerance;
        !within
    })
}

/// Plays `session` step by step. After each step the twin computes the same step from the *engine's own*
/// inputs. Stops at the first difference.
///
/// # Errors
///
/// [`EngineError`] if the device fails.
pub fn replay(session: &mut Session) -> Result<Replay, EngineError> {
    let mut result = Replay { first: None, steps: 0, worst: 0.0 };
    for index in 0..session.recording().steps().len() {
        let before = bound(session, index, |_| true)?;
        session.play_step(index)?;
        let after = bound(session, index, |access| access != Access::Read)?;
        let step = &session.recording().steps()[index];
        let items = match step.counted {
            Some(counted) => counted.items(&session.peek(counted.slot)?),
            None => step.kernel.work().most(),
        };
        result.first = diff_step(session.recording(), index, items, before, &after, &mut result.worst);
        result.steps += 1;
        if result.first.is_some() {
            break;
        }
    }
    Ok(result)
}

fn bound(session: &Session, index: usize, wanted: impl Fn(Access) -> bool) -> Result<Vec<Vec<f32>>, EngineError> {
    let step = &session.recording().steps()[index];
    step.bound().filter(|(_, binding)| wanted(binding.access)).map(|(slot, _)| session.peek(slot)).collect()
}

/// Runs the twin on one step with `before`, the contents of every binding before the step, and compares the
/// result with `after`, the written bindings after it.
fn diff_step(
    recording: &Recording,
    index: usize,
    items: u32,
    mut before: Vec<Vec<f32>>,
    after: &[Vec<f32>],
    worst: &mut f64,
) -> Option<Difference> {
    let step = &recording.steps()[index];
    let reads = step.bound().filter(|(_, binding)| binding.access == Access::Read).count();
    let mut written = before.split_off(reads);
    let read: Vec<&[f32]> = before.iter().map(Vec::as_slice).collect();
    let mut write: Vec<&mut [f32]> = written.iter_mut().map(Vec::as_mut_slice).collect();
    step.kernel.reference(items, &read, &mut write);
    let tolerance = step.kernel.tolerance(&read);
    let sizes = step.kernel.sizes();
    let each = step.kernel.apart().unwrap_or_else(|| vec![0; sizes.len()]);
    let targets = step.bound().zip(sizes).zip(each).filter(|(((_, b), _), _)| b.access != Access::Read);
    for (((((slot, binding), size), each), got), want) in targets.zip(after).zip(&written) {
        // In a counted step only the items that exist are compared; in a partly written slot, the elements
        // that must stay unchanged as well.
        let len = match (binding.access, step.counted) {
            (Access::Update, Some(_)) if each > 0 => each * items as usize,
            (Access::Update, _) => want.len(),
            (_, Some(_)) => size * items as usize / step.kernel.work().most() as usize,
            (_, None) => size,
        };
        let (got, want) = (&got[..len], &want[..len]);
        let found = match binding.element {
            Element::U32 => got.iter().zip(want).position(|(got, want)| got.to_bits() != want.to_bits()),
            Element::F32 => first_difference(got, want, tolerance),
        };
        if let Some(i) = found {
            let number = |x: f32| if binding.element == Element::U32 { f64::from(x.to_bits()) } else { f64::from(x) };
            let label = recording.slots()[slot.index()].label.clone();
            let (got, want) = (number(got[i]), number(want[i]));
            return Some(Difference { step: index, kernel: step.kernel.name(), slot: label, element: i, got, want, tolerance });
        }
        if binding.element == Element::F32 && tolerance > 0.0 {
            let largest = got.iter().zip(want).map(|(got, want)| f64::from((got - want).abs())).fold(0.0, f64::max);
            *worst = worst.max(largest / f64::from(tolerance));
        }
    }
    None
}
