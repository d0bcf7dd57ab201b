//! Volumes on real engines: what they are, who uses them, and what is left after a crash.

mod crashes;
mod kinds;
mod scripts;
mod world;
