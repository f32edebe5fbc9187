//! Arrow IPC: files, whose footer says where each batch is, and streams, which are read from their beginning to their end
//! mark. Which of the two it is, the first bytes say.

pub mod check;
pub mod footer;
pub mod opener;
pub mod stream;
