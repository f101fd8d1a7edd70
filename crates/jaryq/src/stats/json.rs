//! The same for programs.

use serde_json::{Map, Value, json};
use store::{Group, Line};
use wire::tally::Amounts;

use super::{Stats, word};
use crate::key::day as date;

impl Stats {
    /// All sums.
    pub(super) fn object(&self) -> Value {
        let mut all = json!({
            "event": "stats",
            "from": date(self.from.start()),
            "to": date(self.to.start()),
            "now": self.now.as_ref().map(|now| json!({
                "running": now.is_running(),
                "time": now.time,
                "started": now.started,
                "connections": now.connections,
                "gauges": now.gauges,
            })),
            "total": amounts_object(self.total()),
        });
        let days = self.by_day.iter().map(|(day, amounts)| {
            let counters = self.counters.get(day).into_iter().flatten();
            let counters: Map<String, Value> =
                counters.map(|(name, count)| (name.clone(), json!(count))).collect();
            let mut object = json!({ "day": date(day.start()), "people": self.people.get(day) });
            append(&mut object, amounts_object(*amounts));
            object["counters"] = counters.into();
            object
        });
        all["by_day"] = days.collect();
        for (by, rows) in &self.sums {
            let rows = rows.iter().map(|(group, amounts)| {
                let mut object = self.group_object(*group);
                append(&mut object, amounts_object(*amounts));
                object
            });
            all[format!("by_{}", word(*by))] = rows.collect();
        }
        all
    }

    fn group_object(&self, group: Group) -> Value {
        match group {
            Group::Day(day) => json!({ "day": date(day.start()) }),
            Group::Protocol(protocol) => json!({ "protocol": protocol.name() }),
            Group::Datacentre(one) => json!({ "datacentre": one.map(|one| one.to_string()) }),
            Group::Port(port) => json!({ "port": port }),
            Group::Key(id) => json!({
                "key": id.map(|id| id.to_string()),
                "label": id.and_then(|id| self.keys.get(&id)).map(|key| key.label.to_string()),
            }),
        }
    }
}

fn amounts_object(amounts: Amounts) -> Value {
    json!({
        "connections": amounts.connections,
        "up_bytes": amounts.up,
        "down_bytes": amounts.down,
    })
}

/// One cell of one day.
pub(super) fn cell(line: &Line) -> Value {
    let cell = line.cell;
    let mut object = json!({
        "event": "cell",
        "day": date(line.day.start()),
        "key": cell.key.map(|key| key.to_string()),
        "port": (cell.port != 0).then_some(cell.port),
        "protocol": cell.protocol.name(),
        "datacentre": cell.datacentre.map(|one| one.to_string()),
    });
    append(&mut object, amounts_object(line.amounts));
    object
}

fn append(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
