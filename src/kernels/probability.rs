//! The probability of a face from two logits: the twin of `shared/probability.wgsl`.

/// Softmax over the two class logits. In f32 like the nets' own softmax: near 1 many scores round to the same value, and ties are settled
/// by place; a finer result would order them otherwise.
pub fn face_probability(background: f32, face: f32) -> f32 {
    1.0 / (1.0 + (background - face).exp())
}

/// What a probability in f32 may be off: WGSL allows `exp` 3 + 2|x| ulp, which p (1 - p) damps to under 2 ε, and a division 2.5 ulp.
pub const PROBABILITY_TOLERANCE: f32 = 6.0 * f32::EPSILON;
