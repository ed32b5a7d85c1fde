//! Max pooling that remembers where the largest were.

use rayon::prelude::*;

use super::Windows;
use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

/// The largest element of every window, and where it is: adaptive max pools, and those of squares with steps
/// and padding. Of equal ones the first in raster order counts.
///
/// Reads `x: [n, c, x]`; writes `y: [n, c, y]` and `places: [n, c, y]`, in the plane, for
/// [`ArgMaxPoolBackward`](super::ArgMaxPoolBackward).
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct ArgMaxPool(Windows);

impl ArgMaxPool {
    /// Of `windows`.
    pub fn new(windows: Windows) -> Self {
        Self(windows)
    }
}

impl Kernel for ArgMaxPool {
    const NAME: &'static str = "arg_max_pool";
    const WGSL: &'static [&'static str] = wgsl!("nn/arg_max_pool", "shared/grid", "shared/windows");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE, Binding::WRITE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Windows::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.0.elements()[1] as u32)
    }

    fn sizes(&self) -> Vec<usize> {
        let [x, y] = self.0.elements();
        vec![x, y, y]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([y, places], windows) = (write, self.0) else { unreachable!("checked when recorded") };
        let (width, plane) = (windows.widths()[0], windows.y_plane());
        for (at, x) in read[0].chunks_exact(windows.x_plane()).take(windows.planes()).enumerate() {
            windows.visit(|window, rows, columns| {
                let mut elements = rows.flat_map(|row| columns.clone().map(move |column| row * width + column));
                let first = elements.next().unwrap_or(0);
                let place = elements.fold(first, |best, i| if x[i] > x[best] { i } else { best });
                y[at * plane + window] = x[place];
                places[at * plane + window] = f32::from_bits(place as u32);
            });
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([y, places], windows) = (write, self.0) else { unreachable!("checked when recorded") };
        let (width, plane) = (windows.widths()[0], windows.y_plane());
        let planes = y.par_chunks_exact_mut(plane).zip(places.par_chunks_exact_mut(plane)).zip(read[0].par_chunks_exact(windows.x_plane()));
        planes.take(windows.planes()).with_min_len((BLOCK / windows.x_plane()).max(1)).for_each(|((y, places), x)| {
            windows.visit(|window, rows, columns| {
                let mut place = rows.start * width + columns.start;
                let mut best = x[place];
                for row in rows {
                    let line = &x[row * width..][columns.clone()];
                    for (column, v) in columns.clone().zip(line) {
                        if *v > best {
                            (best, place) = (*v, row * width + column);
                        }
                    }
                }
                (y[window], places[window]) = (best, f32::from_bits(place as u32));
            });
        });
    }
}

/// Few values, so that many are equal.
pub(super) fn ties(len: usize) -> Vec<f32> {
    noise(len, 1).iter().map(|v| (v * 9.0).round()).collect()
}

impl Samples for ArgMaxPool {
    fn samples() -> Vec<Sample<Self>> {
        Windows::samples().into_iter().map(|w| Sample { kernel: Self::new(w), read: vec![ties(w.elements()[0])] }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    type Play = fn(&ArgMaxPool, u32, &[&[f32]], &mut [&mut [f32]]);

    #[test]
    fn of_equal_values_the_first_in_raster_order_is_found_and_nan_in_front_stays() {
        let (windows, _) = Windows::adaptive(&Shape::new([1, 1, 2, 3]).unwrap(), 1).unwrap();
        let nan = f32::NAN;
        let cases = [
            ([1.0, 5.0, 2.0, 5.0, 5.0, 0.0], 5.0, 1),
            ([3.0; 6], 3.0, 0),
            ([-3.0, nan, -1.0, nan, -1.0, -2.0], -1.0, 2),
            ([nan; 6], nan, 0),
        ];
        for (x, largest, at) in cases {
            for play in [Kernel::reference as Play, Kernel::native as Play] {
                let (mut y, mut place) = ([0.0], [0.0]);
                play(&ArgMaxPool::new(windows), 1, &[&x], &mut [&mut y, &mut place]);
                assert!(y[0].to_bits() == f32::to_bits(largest) && place[0].to_bits() == at, "{x:?}: {y:?} at {}", place[0].to_bits());
            }
        }
    }
}
