//! A value of the file, whatever it is: where it was written, and what is wrong in it.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_yaml::Value;

use super::super::gate::{Content, Document, NodeId};

/// Text. A number or a boolean written plainly is taken as the text that it is.
pub(crate) struct Text(pub(crate) String);

/// `true` or `false`, without quotes.
#[derive(Deserialize)]
pub(crate) struct Flag(pub(crate) bool);

/// A whole number, without quotes.
#[derive(Deserialize)]
pub(crate) struct Number(pub(crate) u64);

/// A list.
pub(crate) type List<T> = Vec<At<T>>;

/// A mapping whose keys are names of the file's own.
pub(crate) type Map<T> = BTreeMap<String, At<T>>;

/// Text, or a list of texts.
pub(crate) enum TextOrList {
    Text(Text),
    List(List<Text>),
}

/// A list of names, or a mapping from names to what is said of them.
pub(crate) enum NamesOrMap<T> {
    Names(List<Text>),
    Map(Map<T>),
}

/// A value, and where it was written.
pub(crate) struct At<T> {
    pub(crate) node: NodeId,
    /// None: something else stands there than what belongs there.
    pub(crate) written: Option<T>,
    /// The values behind keys that a mapping of this kind does not have.
    pub(crate) unknown: Vec<NodeId>,
}

/// What can stand in a file.
pub(crate) trait Written: DeserializeOwned {
    /// The kind, as a noun phrase.
    const KIND: &'static str = "a mapping";
}

impl<T: Written> Written for Map<T> {}
impl<T: Written> Written for List<T> {
    const KIND: &'static str = "a list";
}
impl Written for TextOrList {
    const KIND: &'static str = "text or a list";
}
impl<T: Written> Written for NamesOrMap<T> {
    const KIND: &'static str = "a list or a mapping";
}
impl Written for Text {
    const KIND: &'static str = "text";
}
impl Written for Flag {
    const KIND: &'static str = "`true` or `false`";
}
impl Written for Number {
    const KIND: &'static str = "a number";
}

/// A node as a value that remembers it: `[position of the node, content]`.
pub(super) fn value(document: &Document<'_>, id: NodeId) -> Value {
    let node = document.node(id);
    let content = match node.map(|node| &node.content) {
        None | Some(Content::Nothing) => Value::Null,
        Some(Content::Text { text, plain: true }) => plain(text),
        Some(Content::Text { text, plain: false }) => Value::String(text.clone()),
        Some(Content::List(children)) => children.iter().map(|child| value(document, *child)).collect(),
        Some(Content::Mapping(children)) => children
            .iter()
            .filter_map(|child| {
                let key = document.node(*child)?.key.as_ref()?;
                Some((Value::String(key.text.clone()), value(document, *child)))
            })
            .collect::<serde_yaml::Mapping>()
            .into(),
    };
    Value::Sequence(vec![Value::from(id.0), content])
}

/// The value of a text without quotes. A boolean or a number only where its text can be had back from it, so that `on`,
/// `no`, `18.0`, `007` and `0x1f` stay what they are.
fn plain(text: &str) -> Value {
    match (text, text.parse::<u64>()) {
        ("true", _) => Value::Bool(true),
        ("false", _) => Value::Bool(false),
        (_, Ok(number)) if number.to_string() == text => Value::from(number),
        _ => Value::String(text.to_owned()),
    }
}

impl<'de, T: Written> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AtVisitor<T>(PhantomData<T>);

        impl<'de, T: Written> Visitor<'de> for AtVisitor<T> {
            type Value = At<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a node with {}", T::KIND)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<At<T>, A::Error> {
                let node =
                    seq.next_element()?.map(NodeId).ok_or_else(|| A::Error::custom("a node without position"))?;
                let keys = keys::<T>();
                if keys.is_empty() {
                    let written = seq.next_element().unwrap_or_default();
                    return Ok(At { node, written, unknown: Vec::new() });
                }
                let Some(Value::Mapping(mapping)) = seq.next_element()? else {
                    return Ok(At { node, written: None, unknown: Vec::new() });
                };
                let (known, unknown): (serde_yaml::Mapping, Vec<_>) = {
                    let (known, unknown): (Vec<_>, Vec<_>) =
                        mapping.into_iter().partition(|(key, _)| key.as_str().is_some_and(|key| keys.contains(&key)));
                    (known.into_iter().collect(), unknown)
                };
                let unknown = unknown.iter().filter_map(|(_, value)| position(value)).collect();
                Ok(At { node, written: T::deserialize(Value::Mapping(known)).ok(), unknown })
            }
        }

        deserializer.deserialize_seq(AtVisitor(PhantomData))
    }
}

/// The node that a value remembers.
fn position(value: &Value) -> Option<NodeId> {
    value.get(0)?.as_u64()?.try_into().ok().map(NodeId)
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Text::KIND)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_bool<E: Error>(self, flag: bool) -> Result<Text, E> {
                Ok(Text(flag.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
        }

        deserializer.deserialize_any(TextVisitor)
    }
}

/// The keys of a struct as serde knows them, so that what is reported and what is decoded cannot differ. None for what is
/// no struct.
pub(crate) fn keys<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Keys<'k>(&'k mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Keys<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            Err(Error::custom("only the keys are wanted"))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(Error::custom("only a struct has keys"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut keys: &'static [&'static str] = &[];
    let _ = T::deserialize(Keys(&mut keys));
    keys
}

impl<'de> Deserialize<'de> for TextOrList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            list @ Value::Sequence(_) => serde_yaml::from_value(list).map(Self::List),
            text => serde_yaml::from_value(text).map(Self::Text),
        }
        .map_err(D::Error::custom)
    }
}

impl<'de, T: Written> Deserialize<'de> for NamesOrMap<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            names @ Value::Sequence(_) => serde_yaml::from_value(names).map(Self::Names),
            map => serde_yaml::from_value(map).map(Self::Map),
        }
        .map_err(D::Error::custom)
    }
}
