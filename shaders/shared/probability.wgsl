// Softmax over the two class logits: the probability of a face.
fn face_probability(background: f32, face: f32) -> f32 {
    return 1.0 / (1.0 + exp(background - face));
}

// Tests for NaN by the bits, because compilers may assume that floats are never NaN.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
