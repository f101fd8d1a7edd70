//! The pieces, one in each file.

mod block;
mod delay;
mod loss;
mod only;
mod when;

pub use block::Block;
pub use delay::Delay;
pub use loss::Loss;
pub use only::Only;
pub use when::{Condition, Hours, When};
