//! The final list in image space.

use super::{Candidate, Counter, lists, sample_list};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// Pixel edges, score and landmarks of every face (spec sections 3.1, 3.5).
    ///
    /// Reads `found: [images, capacity]`, the [`Counter`]s, O-Net's `crops: [images, rows]` and `landmarks: [images, rows, 10]`; updates
    /// `faces: [images, capacity, 16]`.
    pub struct Faces { images: u32, list: u32, capacity: u32, rows: u32 }
}

impl Faces {
    /// Words of a face: `x1, y1, x2, y2`, score, `x0..x4`, `y0..y4`, 0.
    pub const WORDS: usize = 16;

    /// At most `capacity` faces, list number `list` of each image, out of at most `rows` crops.
    pub fn new(images: u32, list: u32, capacity: u32, rows: u32) -> Self {
        Self { images, list, capacity, rows }
    }
}

impl Kernel for Faces {
    const NAME: &'static str = "faces";
    const WGSL: &'static [&'static str] = wgsl!("select/faces", "shared/boxes", "shared/counter");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { rows: self.images, ..Work::linear(self.capacity) }
    }

    fn sizes(&self) -> Vec<usize> {
        let (capacity, rows) = ((self.images * self.capacity) as usize, (self.images * self.rows) as usize);
        vec![capacity * Candidate::WORDS, Counter::size(self.list, self.images), rows * Candidate::WORDS, rows * 10, capacity * Self::WORDS]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (capacity, rows) = (self.capacity as usize, self.rows as usize);
        for image in 0..self.images as usize {
            let held = Counter::held(read[1], self.list, self.images, image).min(self.capacity) as usize;
            let found = Candidate::list(read[0])[image * capacity..][..held].iter();
            for (found, face) in found.zip(write[0][image * capacity * Self::WORDS..].chunks_mut(Self::WORDS)) {
                let row = image * rows + (found.tag as usize).min(rows - 1);
                face.copy_from_slice(&face_words(found, &Candidate::list(read[2])[row], &read[3][row * 10..][..10]));
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (capacity, rows) = (self.capacity as usize, self.rows as usize);
        let (all, crops) = (Candidate::list(read[0]), Candidate::list(read[2]));
        for image in 0..self.images as usize {
            let held = Counter::held(read[1], self.list, self.images, image).min(self.capacity) as usize;
            let faces = write[0][image * capacity * Self::WORDS..].chunks_exact_mut(Self::WORDS);
            for (found, face) in all[image * capacity..][..held].iter().zip(faces) {
                let row = image * rows + (found.tag as usize).min(rows - 1);
                let ([x1, y1, x2, y2], [left, top, right, bottom]) = (crops[row].corners, found.corners);
                let (x, y) = read[3][row * 10..][..10].split_at(5);
                face[..5].copy_from_slice(&[left - 1.0, top - 1.0, right, bottom, found.score]);
                face[5..10].iter_mut().zip(x).for_each(|(to, x)| *to = x1 - 1.0 + x * (x2 - x1 + 1.0));
                face[10..15].iter_mut().zip(y).for_each(|(to, y)| *to = y1 - 1.0 + y * (y2 - y1 + 1.0));
                face[15] = 0.0;
            }
        }
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let rows = Candidate::list(read[2]).iter().take((self.images * self.rows) as usize);
        let extent = rows.map(|c| largest(&c.corners)).fold(1.0, f32::max);
        4.0 * f32::EPSILON * 2.0 * extent * largest(read[3]).max(1.0)
    }
}

/// Pixel edges, score and landmarks of a face; landmarks are in units of the crop's box.
fn face_words(found: &Candidate, crop: &Candidate, landmarks: &[f32]) -> [f32; Faces::WORDS] {
    let [x1, y1, x2, y2] = crop.corners.map(f64::from);
    let [left, top, right, bottom] = found.corners;
    let mut face = [0.0; Faces::WORDS];
    face[..5].copy_from_slice(&[left - 1.0, top - 1.0, right, bottom, found.score]);
    for k in 0..5 {
        face[5 + k] = (x1 - 1.0 + f64::from(landmarks[k]) * (x2 - x1 + 1.0)) as f32;
        face[10 + k] = (y1 - 1.0 + f64::from(landmarks[5 + k]) * (y2 - y1 + 1.0)) as f32;
    }
    face
}

impl Samples for Faces {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1, 1, 1), (1, 5, 9, 0), (3, 65, 200, 64), (1, 130, 130, 129)]
            .map(|(images, capacity, rows, held): (u32, u32, u32, u32)| {
                let mut found = sample_list((images * capacity) as usize, 11);
                found.iter_mut().enumerate().for_each(|(i, face)| face.tag = (i * 7 % rows as usize) as f32);
                let crops = sample_list((images * rows) as usize, 12);
                let landmarks = noise((images * rows) as usize * 10, 13);
                let counters = lists(&[(0..images).map(|image| held + image % 2).collect()]);
                let lists = [&found, &crops].map(|list| bytemuck::cast_slice(list).to_vec());
                let [found, crops] = lists;
                Sample { kernel: Self::new(images, 0, capacity, rows), read: vec![found, counters, crops, landmarks] }
            })
            .to_vec()
    }
}
