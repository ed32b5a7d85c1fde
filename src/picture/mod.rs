//! Image files to frames, faces to aligned crops: the ends of the detector that touch pictures (feature
//! `toolkit`).

pub mod align;
pub mod decode;
pub mod turn;
