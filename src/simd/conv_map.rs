//! Convolutions of small maps: directly, or by Winograd's filtering where the caller has transformed the weights.

use super::maps::{MapLayer, direct};
use super::tile::GROUP;
use super::winograd::{Transformed, Winograd};
use super::{PlanesMut, Task, Vector};

/// A valid convolution with bias and PReLU, then max pooling in ceil mode.
pub(crate) struct ConvMap<'a> {
    /// What to compute.
    pub layer: MapLayer<'a>,
    /// The same weights transformed, where that is faster.
    pub transformed: Option<&'a Transformed>,
    /// One plane an output channel.
    pub y: PlanesMut<'a>,
}

impl Task for ConvMap<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let MapLayer { x, c, plane, width, height, k, weight, bias, slope, pool } = self.layer;
        let padded = self.y.planes().next_multiple_of(GROUP);
        assert!(c > 0 && width >= k && height >= k && k > 0 && (1..=3).contains(&pool[0]) && pool[1] > 0, "the window fits");
        assert!(x.len() >= (c - 1) * plane + width * height, "the input is whole");
        assert!(weight.len() >= padded * c * k * k && bias.len() >= padded && slope.len() >= padded, "weights are whole");
        match self.transformed {
            Some(transformed) => Winograd::new(self.layer, transformed, self.y.planes()).run::<V>(&mut self.y),
            None => direct::<V>(self.layer, padded, &mut self.y),
        }
    }
}
