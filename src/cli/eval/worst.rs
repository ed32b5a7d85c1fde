//! The worst of many, without keeping the many.

use super::figures::Example;

/// Keeps the `count` of greatest rank; of equal ranks those that came first.
pub struct Worst<T> {
    count: usize,
    kept: Vec<(f64, T)>,
}

impl<T> Worst<T> {
    /// Nothing yet.
    pub fn new(count: usize) -> Self {
        Self { count, kept: Vec::new() }
    }

    /// Adds what `make` makes.
    pub fn add(&mut self, rank: f64, make: impl FnOnce() -> T) {
        self.kept.push((rank, make()));
        if self.kept.len() > 2 * self.count + 1000 {
            self.prune();
        }
    }

    /// The worst, those of greatest rank first, each as `example` shows it.
    pub fn finish(mut self, example: impl Fn(T) -> Example) -> Vec<Example> {
        self.prune();
        self.kept.into_iter().map(|(_, kept)| example(kept)).collect()
    }

    fn prune(&mut self) {
        self.kept.sort_by(|a, b| b.0.total_cmp(&a.0));
        self.kept.truncate(self.count);
    }
}

#[cfg(test)]
mod tests {
    use mtcmcn::geometry::BoundingBox;

    use super::*;

    #[test]
    fn the_greatest_are_kept_in_the_order_in_which_they_came() {
        let focus = BoundingBox { x1: 0.0, y1: 0.0, x2: 1.0, y2: 1.0 };
        let mut worst = Worst::new(3);
        for number in 0..10_000 {
            worst.add(f64::from(number % 100), || number);
        }
        let shown = worst.finish(|number| Example { path: number.to_string(), focus, caption: String::new(), marks: Vec::new() });
        assert_eq!(shown.iter().map(|example| &*example.path).collect::<Vec<_>>(), ["99", "199", "299"]);
        assert!(Worst::new(0).finish(|()| unreachable!("nothing was added")).is_empty());
    }
}
