//! The last test by its name, which is what the harness orders by.

use crate::figures;

#[test]
fn of_all_figures() {
    figures::print();
}
