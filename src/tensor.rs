//! Shapes and host tensors. A [`Shape`] that exists is valid: kernels built from it cannot fail on it.

use std::sync::Arc;

/// Height and width of one plane, in pixels or cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extent {
    /// Rows.
    pub h: u32,
    /// Columns.
    pub w: u32,
}

impl Extent {
    /// Number of elements, `h * w`.
    pub fn area(self) -> u32 {
        self.h * self.w
    }
}

/// Why a shape cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// A dimension is zero.
    #[error("shape [{n}, {c}, {plane:?}] has an empty dimension")]
    Empty {
        /// Items.
        n: u32,
        /// Channels.
        c: u32,
        /// Levels of the plane.
        plane: Vec<Extent>,
    },
    /// More elements than a 32-bit index of a kernel reaches.
    #[error("shape [{n}, {c}, {plane} elements a plane] has more than 2^31 elements")]
    TooLarge {
        /// Items.
        n: u32,
        /// Channels.
        c: u32,
        /// Elements of one plane.
        plane: u64,
    },
    /// Two tensors that should have as many elements.
    #[error("an input or tensor of a layer has {right} elements where {left} are needed")]
    Different {
        /// Elements needed.
        left: u32,
        /// Elements there.
        right: u32,
    },
    /// A batch with one element a channel, where a variance is wanted.
    #[error("a batch of one item with {c} channels of one element has no variance; batch statistics need at least two elements a channel")]
    Alone {
        /// Channels.
        c: u32,
    },
    /// A sum or maximum that takes more turns of a loop than every driver takes.
    #[error("a result of {terms} elements is over the {} that one invocation may go through", Self::MOST_TERMS)]
    TooManyTerms {
        /// Elements that one result is made of.
        terms: u64,
    },
    /// Padding that would make windows of nothing else.
    #[error("windows of {k} elements a side cannot be padded by {padding}: at most half their side")]
    Padding {
        /// Side of a window.
        k: u32,
        /// Elements added on every side.
        padding: u32,
    },
    /// A convolution that cannot be.
    #[error(
        "a {k} x {k} window with stride {stride}, padding {padding} and {groups} groups does not fit {c} channels of {h} x {w} and {out} outputs: \
         it must lie in the one padded plane, be larger than the padding, and the groups must divide channels and outputs"
    )]
    Window {
        /// Input channels.
        c: u32,
        /// Input rows.
        h: u32,
        /// Input columns.
        w: u32,
        /// Output channels.
        out: u32,
        /// Side of the window.
        k: u32,
        /// Rows and columns from one window to the next.
        stride: u32,
        /// Zeros on every side.
        padding: u32,
        /// Groups of channels.
        groups: u32,
    },
}

impl ShapeError {
    /// Elements that one invocation may go through: software drivers have stopped loops silently after 65,535
    /// turns.
    pub const MOST_TERMS: u64 = 60_000;

    /// That `terms` elements are few enough for one invocation.
    pub(crate) fn check_terms(terms: u32) -> Result<(), Self> {
        if u64::from(terms) > Self::MOST_TERMS { Err(Self::TooManyTerms { terms: u64::from(terms) }) } else { Ok(()) }
    }
}

/// Activations `[n, c, plane]`: `n` items (crops or frames) of `c` channels, each channel one plane.
///
/// A plane is one or more *levels* laid end to end, each a row-major `h x w` image. A batch of crops has one level, so its shape is
/// plain NCHW; the image pyramid has one level per scale, so one dispatch of a kernel covers the whole pyramid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape {
    n: u32,
    c: u32,
    levels: Arc<[Extent]>,
}

impl Shape {
    /// `n` items of `c` channels with one plane of `h` rows and `w` columns each.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if a dimension is zero or an index into the whole would not fit 31 bits.
    pub fn new([n, c, h, w]: [u32; 4]) -> Result<Self, ShapeError> {
        Self::ragged(n, c, [Extent { h, w }])
    }

    /// `n` items of `c` channels whose planes are made of `levels`, in order.
    ///
    /// # Errors
    ///
    /// As [`Shape::new`].
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

    /// Number of items: crops or frames.
    pub fn n(&self) -> u32 {
        self.n
    }

    /// Number of channels.
    pub fn c(&self) -> u32 {
        self.c
    }

    /// The levels of one plane.
    pub fn levels(&self) -> &[Extent] {
        &self.levels
    }

    /// Elements of one plane.
    pub fn plane(&self) -> u32 {
        self.levels.iter().map(|level| level.area()).sum()
    }

    /// Elements of one item, `c * plane`.
    pub fn item(&self) -> u32 {
        self.c * self.plane()
    }

    /// Elements in all, `n * c * plane`.
    pub fn elements(&self) -> u32 {
        self.n * self.item()
    }

    /// That this is a shape of `want` elements: of a tensor that a layer reads.
    ///
    /// # Errors
    ///
    /// [`ShapeError::Different`] if it is not.
    pub fn has(&self, want: u32) -> Result<(), ShapeError> {
        if self.elements() == want { Ok(()) } else { Err(ShapeError::Different { left: want, right: self.elements() }) }
    }

    /// This shape, if `other` is the same.
    ///
    /// # Errors
    ///
    /// [`ShapeError::Different`] if it is not.
    pub fn same(&self, other: &Self) -> Result<Self, ShapeError> {
        if self == other { Ok(self.clone()) } else { Err(ShapeError::Different { left: self.elements(), right: other.elements() }) }
    }

    /// The same planes with other items and channels.
    ///
    /// # Errors
    ///
    /// As [`Shape::new`].
    pub fn with(&self, n: u32, c: u32) -> Result<Self, ShapeError> {
        Self::ragged(n, c, self.levels.clone())
    }
}

/// A dense row-major host tensor of any rank, as weights files hold them.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Sizes, slowest first.
    pub shape: Vec<usize>,
    /// Elements, `shape.iter().product()` of them.
    pub data: Vec<f32>,
}

/// `len` reproducible values, uniform in `[-1, 1)`: what tests and benches feed to kernels.
///
/// PCG-XSH-RR 32 (O'Neill 2014), seeded by `seed`.
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
