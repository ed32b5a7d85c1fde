//! The nets on the adapter against golden numbers.

use crate::{engine, golden};

#[test]
fn nets_give_the_golden_outputs() {
    golden::check(&engine());
}
