//! A JSON object, and nothing else: what serde derives for a struct would also take a list of its fields' values.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// What an object says.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug)]
    struct Point {
        x: i32,
    }

    #[test]
    fn a_list_of_values_is_no_object() {
        assert_eq!(serde_json::from_str::<Object<Point>>(r#"{"x": 1, "y": 2}"#).expect("an object").0.x, 1);
        for other in ["[1]", "1", "null", "\"x\""] {
            assert!(serde_json::from_str::<Object<Point>>(other).is_err(), "{other}");
        }
        assert!(serde_json::from_str::<Point>("[1]").is_ok(), "which is why");
    }
}
