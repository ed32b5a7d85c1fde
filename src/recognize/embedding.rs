//! [`Embedding`]: what a recogniser makes of a face.

/// A vector of length 1 whose angles to others tell who is who.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// Scales `values` to length 1; `None` if they have none, or one that is not finite.
    pub fn new(mut values: Vec<f32>) -> Option<Self> {
        let length = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if !(length > 0.0 && length.is_finite()) {
            return None;
        }
        values.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
        Some(Self(values))
    }

    /// Returns the elements.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// Returns the cosine of the angle between two embeddings of one recogniser, from -1 to 1: the closer to
    /// 1, the more likely they are of one person.
    ///
    /// # Panics
    ///
    /// If they do not have the same number of elements: embeddings of different recognisers.
    pub fn similarity(&self, other: &Self) -> f64 {
        assert_eq!(self.0.len(), other.0.len(), "embeddings of different recognisers");
        self.0.iter().zip(&other.0).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>().clamp(-1.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarity_is_the_cosine() {
        let [a, b] = [vec![3.0, 4.0], vec![-4.0, 3.0]].map(|values| Embedding::new(values).unwrap());
        assert_eq!(a.values(), [0.6, 0.8]);
        assert!((a.similarity(&a) - 1.0).abs() < 1e-6 && a.similarity(&b).abs() < 1e-6);
    }

    #[test]
    fn what_has_no_direction_is_no_embedding() {
        for values in [vec![], vec![0.0; 3], vec![f32::NAN, 1.0], vec![f32::INFINITY]] {
            assert_eq!(Embedding::new(values), None);
        }
    }
}
