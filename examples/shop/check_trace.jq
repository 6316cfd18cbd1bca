# check_trace.jq - prints one trace as a tree; fails unless it is a placed order:
#   gateway http.request > gateway http.client > orders http.request > sqlite.query, payment.charge, order.ship > sqlite.query
.spans as $spans
| def children($id): $spans | map(select(.parent_id == $id)) | sort_by(.start_unix_ns | tonumber);
  def show($id; $indent): children($id)[] | "\($indent)\(.service) \(.name)  \(.resource)", show(.span_id; $indent + "  ");
  def step($from; $service; $name): $from | map(children(.span_id)[] | select(.service == $service and .name == $name));
  (children("0")) as $roots
| step($roots; "gateway"; "http.client") as $call
| step($call; "orders"; "http.request") as $place
| step($place; "orders"; "sqlite.query") as $queries
| step($place; "orders"; "payment.charge") as $charge
| step($place; "orders"; "order.ship") as $ship
| step($ship; "orders"; "sqlite.query") as $update
| [show("0"; "")] as $tree
| if ($roots | length) == 1 and $roots[0].service == "gateway" and $roots[0].name == "http.request" and ($call | length) == 1
    and ($place | length) == 1 and ($queries | length) >= 2 and ($charge | length) == 1 and ($ship | length) == 1 and ($update | length) == 1
    and ($tree | length) == ($spans | length)
    and ($queries | all(.type == "sql" and .meta["span.kind"] == "client"))
  then $tree[]
  else ($tree[], false) end
