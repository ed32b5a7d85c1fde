//! Max pooling in ceil mode.

use std::ops::Range;

use rayon::prelude::*;

use super::Level;
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{PoolPlane, Simd};
use crate::tensor::{Extent, Shape, ShapeError, noise};

crate::uniform! {
    /// The largest element of each `k x k` window, with stride 2. The last window may extend past the edge,
    /// where only existing elements count (spec section 2).
    ///
    /// Reads `x: [n, c, levels]` and the level table; writes `y: [n, c, ceil((levels - k) / 2) + 1]`.
    pub struct MaxPool { n: u32, c: u32, k: u32, x_plane: u32, y_plane: u32, levels: u32, tiles: u32 }
}

/// Outputs of an invocation, rows and columns.
const TILE: Extent = Extent { h: 2, w: 2 };

impl MaxPool {
    /// Creates the kernel for `x` with windows of side 2 or 3 and stride 2. Returns the kernel, its level
    /// table and the shape of the result.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the result has no elements.
    ///
    /// # Panics
    ///
    /// Panics for any other window side or stride.
    pub fn new(x: &Shape, k: u32, stride: u32) -> Result<(Self, Vec<u32>, Shape), ShapeError> {
        assert!((2..=3).contains(&k) && stride == 2, "windows of {k}, {stride} apart");
        let side = |size: u32| size.saturating_sub(k).div_ceil(stride) + 1;
        let pooled: Vec<Extent> = x.levels().iter().map(|l| Extent { h: side(l.h), w: side(l.w) }).collect();
        let y = Shape::ragged(x.n(), x.c(), pooled)?;
        let (table, tiles) = Level::table(x.levels(), y.levels(), TILE);
        let levels = x.levels().len() as u32;
        Ok((Self { n: x.n(), c: x.c(), k, x_plane: x.plane(), y_plane: y.plane(), levels, tiles }, table, y))
    }

    fn plane(&self, levels: &[Level], x: &[f32], y: &mut [f32]) {
        for level in levels {
            let width = level.x_w as usize;
            for i in 0..level.y_h {
                let rows = i * 2..(i * 2 + self.k).min(level.x_h);
                for j in 0..level.y_w {
                    let columns = (j * 2) as usize..(j * 2 + self.k).min(level.x_w) as usize;
                    let line = |row: u32| x[level.x as usize + row as usize * width..][..width][columns.clone()].iter();
                    let best = rows.clone().flat_map(line).fold(f32::NEG_INFINITY, |best, &v| if v > best { v } else { best });
                    y[(level.y + i * level.y_w + j) as usize] = best;
                }
            }
        }
    }
}

impl MaxPool {
    /// Computes [`MaxPool::plane`] with vector instructions.
    fn native_plane(&self, levels: &[Level], x: &[f32], y: &mut [f32]) {
        let simd = Simd::chosen();
        for level in levels {
            let [x_at, y_at] = [level.x, level.y].map(|at| at as usize);
            let [x_h, width, y_h, y_w] = [level.x_h, level.x_w, level.y_h, level.y_w].map(|size| size as usize);
            let (x, y) = (&x[x_at..x_at + x_h * width], &mut y[y_at..y_at + y_h * y_w]);
            simd.run(PoolPlane { x, width, side: self.k as usize, y, y_w });
        }
    }
}

impl Kernel for MaxPool {
    const NAME: &'static str = "max_pool";
    const WGSL: &'static [&'static str] = wgsl!("nn/max_pool", "shared/levels", "shared/walk");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;
    const WALKERS: Option<u32> = Some(Work::WALKERS);

    fn work(&self) -> Work {
        Work { per_item: self.tiles, together: 1, items: Some(self.n), rows: self.c }
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("K", f64::from(self.k))]
    }

    fn sizes(&self) -> Vec<usize> {
        let planes = (self.n * self.c) as usize;
        vec![planes * self.x_plane as usize, self.levels as usize * Level::WORDS, planes * self.y_plane as usize]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let planes = read[0].chunks(self.x_plane as usize).zip(write[0].chunks_mut(self.y_plane as usize));
        planes.take((items * self.c) as usize).for_each(|(x, y)| self.plane(Level::list(read[1]), x, y));
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let planes = read[0].par_chunks(self.x_plane as usize).zip(write[0].par_chunks_mut(self.y_plane as usize));
        let levels = &Level::list(read[1])[..self.levels as usize];
        planes.take((items * self.c) as usize).for_each(|(x, y)| self.native_plane(levels, x, y));
    }

    fn native_part(&self, items: Range<u32>, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let planes = read[0].chunks(self.x_plane as usize).zip(write[0].chunks_mut(self.y_plane as usize));
        let levels = &Level::list(read[1])[..self.levels as usize];
        planes.take(items.len() * self.c as usize).for_each(|(x, y)| self.native_plane(levels, x, y));
    }

    fn apart(&self) -> Option<Vec<usize>> {
        (self.n > 1).then(|| vec![(self.c * self.x_plane) as usize, 0, (self.c * self.y_plane) as usize])
    }
}

impl Samples for MaxPool {
    fn samples() -> Vec<Sample<Self>> {
        let cases: [(_, _, &[[u32; 2]], _, _); 7] = [
            (1, 1, &[[1, 1]], 2, 2),
            (1, 1, &[[2, 2]], 3, 2),
            (2, 3, &[[22, 22]], 3, 2),
            (3, 10, &[[9, 13], [4, 5], [1, 2]], 2, 2),
            (1, 5, &[[8, 8]], 2, 2),
            (1, 2, &[[201, 65]], 3, 2),
            (1, 1, &[[1045, 1043]], 2, 2), // more than a workgroup each has to do
        ];
        cases
            .iter()
            .map(|&(n, c, levels, k, stride)| {
                let levels: Vec<Extent> = levels.iter().map(|&[h, w]| Extent { h, w }).collect();
                let shape = Shape::ragged(n, c, levels).expect("a valid sample");
                let (kernel, table, _) = Self::new(&shape, k, stride).expect("a valid sample");
                Sample { kernel, read: vec![noise(shape.elements() as usize, 1), words(table)] }
            })
            .collect()
    }
}
