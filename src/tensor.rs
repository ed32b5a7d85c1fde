//! Shapes and host tensors. Every [`Shape`] is valid, so kernels built from one cannot fail because of it.

use std::sync::Arc;

/// Height and width of one plane, in pixels or cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extent {
    /// Number of rows.
    pub h: u32,
    /// Number of columns.
    pub w: u32,
}

impl Extent {
    /// Returns the number of elements, `h * w`.
    pub fn area(self) -> u32 {
        self.h * self.w
    }
}

/// Reasons why a shape is invalid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// A dimension is zero.
    #[error("shape [{n}, {c}, {plane:?}] has an empty dimension")]
    Empty {
        /// Number of items.
        n: u32,
        /// Number of channels.
        c: u32,
        /// Levels of the plane.
        plane: Vec<Extent>,
    },
    /// The shape has more elements than a kernel's 32-bit index can address.
    #[error("shape [{n}, {c}, {plane} elements a plane] has more than 2^31 elements")]
    TooLarge {
        /// Number of items.
        n: u32,
        /// Number of channels.
        c: u32,
        /// Number of elements in one plane.
        plane: u64,
    },
    /// Two tensors that must have the same number of elements do not.
    #[error("an input or tensor of a layer has {right} elements where {left} are needed")]
    Different {
        /// Number of elements needed.
        left: u32,
        /// Number of elements found.
        right: u32,
    },
    /// A layer does not have the inputs that it needs.
    #[error("layer {layer:?} cannot have {got} inputs")]
    Inputs {
        /// Name of the layer.
        layer: &'static str,
        /// Number of inputs found.
        got: usize,
    },
    /// A batch has one element per channel, which has no variance.
    #[error("a batch of one item with {c} channels of one element has no variance; batch statistics need at least two elements a channel")]
    Alone {
        /// Number of channels.
        c: u32,
    },
    /// A sum or maximum needs a longer loop than every driver completes.
    #[error("a result of {terms} elements is over the {} that one invocation may go through", Self::MOST_TERMS)]
    TooManyTerms {
        /// Number of elements that one result depends on.
        terms: u64,
    },
    /// The padding is so large that some windows would contain nothing else.
    #[error("windows of {k} elements a side cannot be padded by {padding}: at most half their side")]
    Padding {
        /// Side of a window.
        k: u32,
        /// Number of elements added on every side.
        padding: u32,
    },
    /// The window of a convolution does not fit its input or its groups.
    #[error(
        "a {k} x {k} window with stride {stride}, padding {padding} and {groups} groups does not fit {c} channels of {h} x {w} and {out} outputs: \
         it must lie in the one padded plane, be larger than the padding, and the groups must divide channels and outputs"
    )]
    Window {
        /// Number of input channels.
        c: u32,
        /// Number of input rows.
        h: u32,
        /// Number of input columns.
        w: u32,
        /// Number of output channels.
        out: u32,
        /// Side of the window.
        k: u32,
        /// Number of rows and columns between windows.
        stride: u32,
        /// Number of zeros added on every side.
        padding: u32,
        /// Number of groups of channels.
        groups: u32,
    },
}

impl ShapeError {
    /// Largest number of elements that one invocation may visit: some software drivers stop loops silently
    /// after 65,535 turns.
    pub const MOST_TERMS: u64 = 60_000;

    /// Checks that one invocation may visit `terms` elements.
    pub(crate) fn check_terms(terms: u32) -> Result<(), Self> {
        if u64::from(terms) > Self::MOST_TERMS { Err(Self::TooManyTerms { terms: u64::from(terms) }) } else { Ok(()) }
    }
}

/// Activations `[n, c, plane]`: `n` items (crops or frames) with `c` channels, each of which is one plane.
///
/// A plane consists of one or more *levels* laid end to end, each a row-major `h x w` image. A batch of crops
/// has one level, so its shape is plain NCHW; the image pyramid has one level per scale, so that one dispatch
/// of a kernel covers the whole pyramid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape {
    n: u32,
    c: u32,
    levels: Arc<[Extent]>,
}

impl Shape {
    /// Creates the shape of `n` items with `c` channels, each one plane of `h` rows and `w` columns.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if a dimension is zero or an index into the whole does not fit 31 bits.
    pub fn new([n, c, h, w]: [u32; 4]) -> Result<Self, ShapeError> {
        Self::ragged(n, c, [Extent { h, w }])
    }

    /// Creates the shape of `n` items with `c` channels, whose planes consist of `levels`, in order.
    ///
    /// # Errors
    ///
    /// See [`Shape::new`].
    pub fn ragged(n: u32, c: u32, levels: impl Into<Arc<[Extent]>>) -> Result<Self, ShapeError> {
        let levels = levels.into();
        if n == 0 || c == 0 || levels.is_empty() || levels.iter().any(|level| level.h == 0 || level.w == 0) {
            return Err(ShapeError::Empty { n, c, plane: levels.to_vec() });
        }
        let plane: u64 = levels.iter().map(|level| u64::from(level.h) * u64::from(level.w)).sum();
        let total = u128::from(n) * u128::from(c) * u128::from(plane);
        if total > 1 << 31 {
            return Err(ShapeError::TooLarge { n, c, plane });
        }
        Ok(Self { n, c, levels })
    }

    /// Returns the number of items: crops or frames.
    pub fn n(&self) -> u32 {
        self.n
    }

    /// Returns the number of channels.
    pub fn c(&self) -> u32 {
        self.c
    }

    /// Returns the levels of one plane.
    pub fn levels(&self) -> &[Extent] {
        &self.levels
    }

    /// Returns the number of elements of one plane.
    pub fn plane(&self) -> u32 {
        self.levels.iter().map(|level| level.area()).sum()
    }

    /// Returns the number of elements of one item, `c * plane`.
    pub fn item(&self) -> u32 {
        self.c * self.plane()
    }

    /// Returns the total number of elements, `n * c * plane`.
    pub fn elements(&self) -> u32 {
        self.n * self.item()
    }

    /// Checks that this shape, of a tensor that a layer reads, has `want` elements.
    ///
    /// # Errors
    ///
    /// [`ShapeError::Different`] if it does not.
    pub fn has(&self, want: u32) -> Result<(), ShapeError> {
        if self.elements() == want { Ok(()) } else { Err(ShapeError::Different { left: want, right: self.elements() }) }
    }

    /// Returns this shape if `other` is equal to it.
    ///
    /// # Errors
    ///
    /// [`ShapeError::Different`] if it is not.
    pub fn same(&self, other: &Self) -> Result<Self, ShapeError> {
        if self == other { Ok(self.clone()) } else { Err(ShapeError::Different { left: self.elements(), right: other.elements() }) }
    }

    /// Returns a shape with the same planes, and `n` items with `c` channels.
    ///
    /// # Errors
    ///
    /// See [`Shape::new`].
    pub fn with(&self, n: u32, c: u32) -> Result<Self, ShapeError> {
        Self::ragged(n, c, self.levels.clone())
    }
}

/// A dense row-major host tensor of any rank, as stored in weights files.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Dimensions, slowest first.
    pub shape: Vec<usize>,
    /// Elements; their number is `shape.iter().product()`.
    pub data: Vec<f32>,
}

/// Returns `len` reproducible values, uniform in `[-1, 1)`, as inputs of tests and benches.
///
/// The generator is PCG-XSH-RR 32 (O'Neill 2014), seeded with `seed`.
pub fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        let old = state;
        state = old.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let xorshifted = (((old >> 18) ^ old) >> 27) as u32;
        let bits = xorshifted.rotate_right((old >> 59) as u32);
        (bits >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    next();
    (0..len).map(|_| next()).collect()
}
