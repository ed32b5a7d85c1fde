//! The last layers of a net, fused with the decision on its crops.

use super::{Candidate, Counter, image_of, lists, sample_list};
use crate::kernels::nn::Dense;
use crate::kernels::probability::{PROBABILITY_TOLERANCE, face_probability};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Tensor, noise};

crate::uniform! {
    /// Applies [`Dense`] with PReLU, linear heads and softmax to crops `first .. first + n`, counted over all
    /// images in sequence, and writes probability, offsets and landmarks to the list (spec sections 2.2, 2.3,
    /// 3.5).
    ///
    /// Reads `x: [n, inputs]`, the `weight` of the dense layer, `parameters` packed by [`Judge::pack`],
    /// `candidates: [images, capacity]`, the [`Counter`]s and the landmarks of mirrored crops; updates
    /// `scored` and `keep: [images, capacity]` and, with 16 outputs, `landmarks: [images, capacity, 10]`.
    pub struct Judge {
        n: u32, images: u32, capacity: u32, list: u32, first: u32, inputs: u32, quads: u32, outs: u32, mirror: u32, regress: u32,
        threshold: f32,
    }
}

impl Judge {
    /// Number of outputs of a net with landmarks: two logits, four offsets, ten coordinates.
    pub const WITH_LANDMARKS: u32 = 16;
    /// Number of elements of the parameters.
    const PARAMETERS: usize = 5120;
    /// Number of items per workgroup.
    const TOGETHER: u32 = 8;

    /// Creates the kernel for a chunk of `n` crops starting at `first` in list number `list` of each image,
    /// which holds at most `capacity` candidates. The dense layer has `[inputs, hidden]` weights; `hidden` is
    /// 8, 16, 32, 64, 128 or 256.
    pub fn new([images, capacity, list]: [u32; 3], [first, n]: [u32; 2], [inputs, hidden, outputs]: [u32; 3], threshold: f32) -> Self {
        let (quads, outs) = (hidden / 4, outputs.div_ceil(4));
        Self { images, capacity, list, n, first, inputs, quads, outs, mirror: 0, regress: 0, threshold }
    }

    /// Averages the landmarks of each crop and of its mirror image.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self { mirror: 1, ..self }
    }

    /// Moves boxes by their regression.
    #[must_use]
    pub fn regressing(self) -> Self {
        Self { regress: 1, ..self }
    }

    /// Returns whether this kernel supports a net with these layer sizes.
    pub fn fits(hidden: u32, outputs: u32) -> bool {
        let quads = hidden / 4;
        let parameters = 2 * quads + (hidden + 1) * outputs.div_ceil(4);
        hidden.is_multiple_of(8) && quads > 0 && 64_u32.is_multiple_of(quads) && parameters as usize * 4 <= Self::PARAMETERS
    }

    /// Concatenates bias and slope of the dense layer, and weights `[outputs, hidden]` and bias of the heads,
    /// in the order in which the kernel reads them.
    pub fn pack(bias: &[f32], slope: &[f32], heads: &Tensor, heads_bias: &[f32]) -> Vec<f32> {
        let mut parameters = [bias.to_vec(), slope.to_vec(), Dense::pack(heads), Dense::pad(heads_bias)].concat();
        parameters.resize(Self::PARAMETERS, 0.0);
        parameters
    }

    fn hidden(&self) -> u32 {
        self.quads * 4
    }

    fn outputs(&self) -> usize {
        self.outs as usize * 4
    }

    fn with_landmarks(&self) -> bool {
        self.outs * 4 == Self::WITH_LANDMARKS
    }

    /// Splits the parameters into bias, slope, and weight and bias of the heads.
    fn split<'a>(&self, parameters: &'a [f32]) -> [&'a [f32]; 4] {
        let hidden = self.hidden() as usize;
        let (bias, rest) = parameters.split_at(hidden);
        let (slope, rest) = rest.split_at(hidden);
        let (heads, rest) = rest.split_at(hidden * self.outputs());
        [bias, slope, heads, &rest[..self.outputs()]]
    }

    fn landmarks(&self, heads: &[f32], mirrored: &[f32]) -> [f32; 10] {
        // A mirrored crop swaps left and right: landmarks 0 and 1, 3 and 4.
        const PARTNER: [usize; 5] = [1, 0, 2, 4, 3];
        std::array::from_fn(|k| {
            let (axis, k) = (k / 5, k % 5);
            let own = f64::from(heads[6 + axis * 5 + k]);
            if self.mirror == 0 {
                return own as f32;
            }
            let other = f64::from(mirrored[axis * 5 + PARTNER[k]]);
            ((own + if axis == 0 { 1.0 - other } else { other }) / 2.0) as f32
        })
    }

    /// Returns the scored candidate of a crop and its flag.
    fn verdict(&self, candidate: Candidate, heads: &[f32], place: u32) -> (Candidate, u32) {
        let score = face_probability(heads[0], heads[1]);
        let [x1, y1, x2, y2] = candidate.corners;
        let size = [x2 - x1 + 1.0, y2 - y1 + 1.0];
        let good = score > self.threshold && size[0] > 0.0 && size[1] > 0.0;
        let keep = if score.is_nan() { 2 } else { u32::from(good) };
        let offsets = [heads[2], heads[3], heads[4], heads[5]];
        let moved = |k: usize| candidate.corners[k] + offsets[k] * size[k % 2];
        let corners = if self.regress == 1 { std::array::from_fn(moved) } else { candidate.corners };
        (Candidate { corners, offsets, score: if score.is_nan() { 0.0 } else { score }, tag: place as f32, ..candidate }, keep)
    }

    /// Computes the two layers with [`Dense`], where `run` is its reference or native body, then the
    /// decisions.
    fn by_dense(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]], run: impl Fn(&Dense, u32, &[&[f32]], &mut [&mut [f32]])) {
        let [x, weight, parameters, candidates, counters, mirrored] = read else { unreachable!("checked when recorded") };
        let [scored, keep, landmarks] = write else { unreachable!("checked when recorded") };
        let ([bias, slope, heads, heads_bias], linear) = (self.split(parameters), vec![1.0; self.outputs()]);
        let (mut hidden, mut outputs) = (vec![0.0; (items * self.hidden()) as usize], vec![0.0; items as usize * self.outputs()]);
        run(&Dense::new(self.n, self.inputs, self.hidden()), items, &[x, weight, bias, slope], &mut [&mut hidden]);
        let last = Dense::new(self.n, self.hidden(), self.outputs() as u32);
        run(&last, items, &[&hidden, heads, heads_bias, &linear], &mut [&mut outputs]);
        for (item, heads) in outputs.chunks(self.outputs()).enumerate() {
            let (image, place) = image_of(self.first + item as u32, counters, self.list, self.images);
            if place >= Counter::held(counters, self.list, self.images, image) {
                continue;
            }
            let i = image * self.capacity as usize + place as usize;
            let (candidate, flag) = self.verdict(Candidate::list(candidates)[i], heads, place);
            Candidate::list_mut(scored)[i] = candidate;
            keep[i] = f32::from_bits(flag);
            if self.with_landmarks() {
                let mirrored = if self.mirror == 1 { &mirrored[i * 10..][..10] } else { &[] };
                landmarks[i * 10..][..10].copy_from_slice(&self.landmarks(heads, mirrored));
            }
        }
    }
}

impl Kernel for Judge {
    const NAME: &'static str = "judge";
    const WGSL: &'static [&'static str] =
        wgsl!("select/judge", "shared/layers", "shared/images", "shared/boxes", "shared/counter", "shared/probability", "shared/walk");
    const WORKGROUP: [u32; 3] = [128, 1, 1];
    const BINDINGS: &'static [Binding] = &[
        Binding::READ,
        Binding::READ,
        Binding::UNIFORM,
        Binding::READ,
        Binding::READ_U32,
        Binding::READ,
        Binding::UPDATE,
        Binding::UPDATE_U32,
        Binding::UPDATE,
    ];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;
    const WALKERS: Option<u32> = Some(Work::WALKERS);

    fn work(&self) -> Work {
        Work { per_item: 128, together: Self::TOGETHER, items: Some(self.n), rows: 1 }
    }

    fn sizes(&self) -> Vec<usize> {
        let (all, inputs) = ((self.images * self.capacity) as usize, self.inputs as usize);
        let list = all * Candidate::WORDS;
        let weight = inputs * self.hidden() as usize;
        let landmarks = if self.with_landmarks() { all * 10 } else { 1 };
        let mirrored = if self.mirror == 1 { landmarks } else { 1 };
        let counters = Counter::size(self.list, self.images);
        vec![self.n as usize * inputs, weight, Self::PARAMETERS, list, counters, mirrored, list, all, landmarks]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.by_dense(items, read, write, Dense::reference);
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.by_dense(items, read, write, Dense::native);
    }

    fn multiply_adds(&self, items: u32) -> u64 {
        u64::from(items) * u64::from(self.hidden()) * (u64::from(self.inputs) + self.outputs() as u64)
    }

    /// Errors of the heads: those of their own sums, and those of the hidden values, propagated through the
    /// heads. Regression multiplies them by the side of the box.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let [bias, slope, heads, heads_bias] = self.split(read[2]).map(largest);
        let terms = (self.inputs + 1) as f32;
        let hidden = terms * (largest(read[0]) * largest(read[1])).max(bias) * slope.max(1.0);
        let own = (self.hidden() + 1) as f32 * (hidden * heads).max(heads_bias) * f32::EPSILON;
        let outputs = own + self.hidden() as f32 * heads * hidden * f32::EPSILON + PROBABILITY_TOLERANCE;
        if self.regress == 0 {
            return outputs;
        }
        let side = Candidate::list(read[3]).iter().map(|c| largest(&c.corners)).fold(1.0, f32::max) * 2.0 + 1.0;
        (outputs + 4.0 * f32::EPSILON) * side
    }
}

impl Samples for Judge {
    fn samples() -> Vec<Sample<Self>> {
        let cases = [
            ([1, 1, 0], [0, 1], [5, 8, 6], 1),
            ([1, 200, 1], [64, 100], [36, 128, 6], 150),
            ([3, 70, 1], [0, 140], [24, 128, 6], 40),
            ([1, 70, 0], [0, 70], [9, 256, 16], 70),
            ([2, 70, 0], [65, 9], [40, 64, 16], 35),
            ([1, 8500, 0], [0, 8500], [3, 8, 6], 8500), // more than a workgroup each has to do
        ];
        cases
            .map(|(lists_of, chunk, [inputs, hidden, outputs], held): ([u32; 3], [u32; 2], [u32; 3], u32)| {
                let [images, capacity, list] = lists_of;
                let mut candidates = sample_list((images * capacity) as usize, 8);
                let last = candidates.len() - 1;
                candidates[last].corners = [5.0, 5.0, 4.0, 9.0];
                let kernel = Self::new(lists_of, chunk, [inputs, hidden, outputs], 0.55);
                let kernel = if outputs == 6 { kernel } else { kernel.regressing() };
                let kernel = if chunk[0] > 0 && outputs == 16 { kernel.mirrored() } else { kernel };
                let scaled = |len: u32, seed| noise(len as usize, seed).iter().map(|v| v * 0.2).collect::<Vec<_>>();
                let weight = Tensor { shape: vec![hidden as usize, inputs as usize], data: scaled(hidden * inputs, 2) };
                let heads = Tensor { shape: vec![outputs as usize, hidden as usize], data: scaled(outputs * hidden, 3) };
                let parameters = Self::pack(&scaled(hidden, 4), &scaled(hidden, 5), &heads, &scaled(outputs, 6));
                let counters = lists(&vec![vec![held; images as usize]; list as usize + 1]);
                let x = noise((chunk[1] * inputs) as usize, 7);
                let mirrored = noise((images * capacity * 10) as usize, 10);
                let candidates = bytemuck::cast_slice(&candidates).to_vec();
                Sample { kernel, read: vec![x, Dense::pack(&weight), parameters, candidates, counters, mirrored] }
            })
            .to_vec()
    }
}
