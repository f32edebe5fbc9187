//! Holds nothing: the benches are targets of this package, and `README.md` says how they measure.
