//! Values as bytes, little-endian, one after another; lists with their length before them.

/// Something that can be written down and read again.
pub(super) trait Written: Sized {
    fn write(&self, to: &mut Vec<u8>);
    /// Takes it off the front. `None` if it is not all there or means nothing.
    fn read(from: &mut &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Written for $number {
            fn write(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }

            fn read(from: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(Self::from_le_bytes(*bytes))
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64, f32, f64);

/// Counts are written with 64 bits on every machine.
impl Written for usize {
    fn write(&self, to: &mut Vec<u8>) {
        (*self as u64).write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        u64::read(from)?.try_into().ok()
    }
}

impl Written for bool {
    fn write(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        match u8::read(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<T: Written> Written for Option<T> {
    fn write(&self, to: &mut Vec<u8>) {
        self.is_some().write(to);
        if let Some(value) = self {
            value.write(to);
        }
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        if bool::read(from)? { T::read(from).map(Some) } else { Some(None) }
    }
}

impl<T: Written> Written for Vec<T> {
    fn write(&self, to: &mut Vec<u8>) {
        super::state::number(self.len()).write(to);
        self.iter().for_each(|value| value.write(to));
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let count = u32::read(from)? as usize;
        // Each takes a byte at least: a length that lies costs no memory.
        let mut all = Self::with_capacity(count.min(from.len() / size_of::<T>().max(1)));
        for _ in 0..count {
            all.push(T::read(from)?);
        }
        Some(all)
    }
}

/// Field after field.
macro_rules! fields {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::seats::codec::Written for $name {
            fn write(&self, to: &mut Vec<u8>) {
                $($crate::seats::codec::Written::write(&self.$field, to);)*
            }

            fn read(from: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::seats::codec::Written::read(from)?),* })
            }
        }
    };
}

/// One of several words, by their place.
macro_rules! words {
    ($name:ident { $($word:ident),* $(,)? }) => {
        impl $crate::seats::codec::Written for $name {
            fn write(&self, to: &mut Vec<u8>) {
                to.push(*self as u8);
            }

            fn read(from: &mut &[u8]) -> Option<Self> {
                let place = u8::read(from)?;
                [$(Self::$word),*].into_iter().find(|word| *word as u8 == place)
            }
        }
    };
}

pub(super) use {fields, words};
