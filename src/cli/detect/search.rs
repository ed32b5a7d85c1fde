//! One search of a picture, or several with the picture turned.

use anyhow::Result;
use mtcmcn::picture::turn::{turned, united};
use mtcmcn::{Detections, Frame};

use super::Find;
use super::args::Rotate;

/// An upright search that finds a face with at least this score needs no other, if turning is left to us.
const SURE: f32 = 0.95;

/// What finds faces, and how pictures are turned for it.
pub struct Searches<F> {
    pub rotate: Rotate,
    pub find: F,
}

impl<F: Find> Searches<F> {
    /// The faces in `frame`, in the frame as it is.
    pub fn find(&mut self, frame: &Frame) -> Result<Result<Detections>> {
        match self.rotate.clone() {
            Rotate::Auto => {
                let upright = match self.find.find(frame)? {
                    Ok(found) if found.faces.iter().any(|face| face.score >= SURE) => return Ok(Ok(found)),
                    Ok(found) => found,
                    Err(error) => return Ok(Err(error)),
                };
                self.turned(frame, upright, &[90.0, 180.0, 270.0])
            }
            Rotate::Angles(angles) if angles == [0.0] => self.find.find(frame),
            Rotate::Angles(angles) => self.turned(frame, Detections::default(), &angles),
        }
    }

    /// `known`, together with what is found with `frame` turned by each of `angles`.
    fn turned(&mut self, frame: &Frame, mut known: Detections, angles: &[f64]) -> Result<Result<Detections>> {
        let mut all = vec![std::mem::take(&mut known.faces)];
        for &angle in angles {
            let turned = turned(frame, angle);
            match self.find.find(&turned.frame)? {
                Ok(found) => {
                    all.push(found.faces.iter().map(|face| turned.back(face)).collect());
                    known.truncated |= found.truncated;
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        known.faces = united(all);
        Ok(Ok(known))
    }
}
