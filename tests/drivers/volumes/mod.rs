//! Volumes on real engines: what they are, who uses them, and what is left after a crash.

mod crashes;
mod guest;
mod kinds;
mod quota;
mod scripts;
mod world;
