//! Evaluation protocols of papers: computes numbers and curves from predictions and annotations. Independent
//! of any detector and file format.
//!
//! | module | protocol |
//! | --- | --- |
//! | [`fddb`] | FDDB's discrete and continuous ROC (spec section 7.2) |
//! | [`wider`] | WIDER FACE's average precision by setting (spec section 7.1) |
//! | [`aflw`] | mean error of five landmarks (spec section 7.3) |
//! | [`boxes`] | average precision of boxes on any set, by face size and occlusion |
//! | [`verify`] | face verification: ten-fold accuracy, true accept rate at a given false accept rate |
//!
//! Results do not depend on the order of images or of equal scores: where scores are equal, a curve has one
//! point for all of them.

pub mod aflw;
pub mod boxes;
pub mod curve;
pub mod fddb;
pub mod matching;
pub mod verify;
pub mod wider;
