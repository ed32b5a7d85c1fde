//! Convolutions of small maps: directly, or with Winograd's filtering if the caller has transformed the
//! weights.

use super::maps::{MapLayer, direct};
use super::tile::GROUP;
use super::winograd::{Transformed, Winograd};
use super::{PlanesMut, Task, Vector};

/// Computes a valid convolution with bias and PReLU, then max pooling in ceil mode.
pub(crate) struct ConvMap<'a> {
    /// The layer to compute.
    pub layer: MapLayer<'a>,
    /// The same weights, transformed, where that is faster.
    pub transformed: Option<Transformed<'a>>,
    /// One plane per output channel of each item.
    pub y: PlanesMut<'a>,
}

impl Task for ConvMap<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let MapLayer { x, items, item, c, plane, width, height, k, weight, bias, slope, pool } = self.layer;
        assert!(items > 0 && self.y.planes().is_multiple_of(items), "planes of whole items");
        let planes = self.y.planes() / items;
        let padded = planes.next_multiple_of(GROUP);
        assert!(c > 0 && width >= k && height >= k && k > 0 && (1..=3).contains(&pool[0]) && pool[1] > 0, "the window fits");
        assert!(x.len() >= (items - 1) * item + (c - 1) * plane + width * height, "the input is whole");
        assert!(weight.len() >= padded * c * k * k && bias.len() >= padded && slope.len() >= padded, "weights are whole");
        match self.transformed {
            Some(transformed) => Winograd::new(self.layer, transformed, planes).run::<V>(&mut self.y),
            None => direct::<V>(self.layer, padded, &mut self.y),
        }
    }
}
