//! What papers measure: predictions and annotations in, numbers and curves out. Knows no detector and no file.
//!
//! | module | protocol |
//! | --- | --- |
//! | [`fddb`] | FDDB's discrete and continuous ROC (spec section 7.2) |
//! | [`wider`] | WIDER FACE's average precision by setting (spec section 7.1) |
//! | [`aflw`] | mean error of five landmarks (spec section 7.3) |
//! | [`boxes`] | average precision of boxes on any set, by face size and occlusion |
//! | [`verify`] | whether two faces are of one person: ten-fold accuracy, true accepts at a rate of false ones |
//!
//! Every result is the same whatever the order of images and of equal scores: where scores are equal, a curve has one point for all of them.

pub mod aflw;
pub mod boxes;
pub mod curve;
pub mod fddb;
pub mod matching;
pub mod verify;
pub mod wider;
