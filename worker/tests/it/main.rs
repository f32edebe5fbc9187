//! The data plane from outside: store, spill, codec and exchange, in one process and over a real loopback connection.

mod blocks;
mod budget;
mod exchange;
mod random;
mod spill;
mod store;
mod world;
