//! The configuration, read from real files.
//!
//! Each `NAME.yaml` here is read in a directory of its own next to the scripts of `scratch`, and
//! what is said about it must be `NAME.out` to the letter. `BLESS=1` writes the `.out` files anew.

mod cleanup;
mod drop_ins;
mod good;
mod pairs;
mod resolved;
mod schema;
mod scratch;
mod trust;
mod yaml;
