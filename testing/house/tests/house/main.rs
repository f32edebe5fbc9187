//! The house is in order: dependencies point the way that DESIGN says, files and functions keep their outer limits.

mod arrows;
mod readme;
mod tidy;
