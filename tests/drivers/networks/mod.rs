//! Networks that boathook makes, on real engines.

mod bridges;
mod crashes;
mod parents;
mod scene;
mod scripts;
