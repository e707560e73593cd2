//! The part of JSON Schema (draft 2020-12) that `docs/pack.schema.json` uses. A keyword that is not known here is a failure.

use serde_json::Value;

/// `docs/pack.schema.json`.
pub struct Schema(Value);

impl Schema {
    pub fn of_packs() -> Schema {
        let text = include_str!("../../../docs/pack.schema.json");
        Schema(serde_json::from_str(text).unwrap())
    }

    /// Whether a manifest is valid; if not, where it is not, and why.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        self.at(&self.0, value).map_err(|e| format!("pack.json{e}"))
    }

    fn at(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let within = |place: String, e: String| format!("{place}{e}");
        for (keyword, wanted) in schema.as_object().unwrap() {
            let holds = match keyword.as_str() {
                "$schema" | "$defs" | "title" => true,
                "$ref" => {
                    let path = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                    self.at(self.0.pointer(path).unwrap_or_else(|| panic!("{path}")), value)?;
                    true
                }
                "anyOf" => wanted.as_array().unwrap().iter().any(|s| self.at(s, value).is_ok()),
                "const" => value == wanted,
                "enum" => wanted.as_array().unwrap().contains(value),
                "type" => match wanted {
                    Value::Array(any) => any.iter().any(|name| is(value, name)),
                    name => is(value, name),
                },
                "minimum" => value.as_f64().is_none_or(|v| v >= wanted.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|v| v <= wanted.as_f64().unwrap()),
                "maxLength" => {
                    value.as_str().is_none_or(|v| v.chars().count() as u64 <= wanted.as_u64().unwrap())
                }
                "pattern" => value.as_str().is_none_or(|v| match wanted.as_str().unwrap() {
                    "^bin/" => v.starts_with("bin/"),
                    "^[0-9a-f]{64}$" => {
                        v.len() == 64 && v.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                    }
                    other => panic!("a pattern that this file does not know: {other}"),
                }),
                "minItems" => value.as_array().is_none_or(|v| v.len() as u64 >= wanted.as_u64().unwrap()),
                "maxItems" => value.as_array().is_none_or(|v| v.len() as u64 <= wanted.as_u64().unwrap()),
                "items" => {
                    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.at(wanted, item).map_err(|e| within(format!("[{i}]"), e))?;
                    }
                    true
                }
                "prefixItems" => {
                    let items = value.as_array().into_iter().flatten();
                    for (i, (schema, item)) in wanted.as_array().unwrap().iter().zip(items).enumerate() {
                        self.at(schema, item).map_err(|e| within(format!("[{i}]"), e))?;
                    }
                    true
                }
                "required" => value.as_object().is_none_or(|v| {
                    wanted.as_array().unwrap().iter().all(|name| v.contains_key(name.as_str().unwrap()))
                }),
                "properties" => {
                    for (name, schema) in wanted.as_object().unwrap() {
                        let Some(value) = value.get(name) else { continue };
                        self.at(schema, value).map_err(|e| within(format!(".{name}"), e))?;
                    }
                    true
                }
                "additionalProperties" => {
                    assert_eq!(wanted, false);
                    let known = schema["properties"].as_object().unwrap();
                    value.as_object().is_none_or(|v| v.keys().all(|name| known.contains_key(name)))
                }
                other => panic!("a keyword that this file does not know: {other}"),
            };
            if !holds {
                return Err(format!(": {value} is not `{keyword}` {wanted}"));
            }
        }
        Ok(())
    }
}

fn is(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("a type that this file does not know: {other}"),
    }
}
