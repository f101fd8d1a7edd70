//! The room that finds the cracks.
