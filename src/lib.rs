//! boathook

pub mod hook;
pub mod lifecycle;
