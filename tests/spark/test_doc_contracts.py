"""The contract that README shows publishes the data that the demo brings."""

import re

from dataward import demo
from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from tests.doc_contracts import REST, contracts


def test_readme_s_contract_publishes_the_demo_s_people(spark, lake):
    demo.prepare(lake.root / "data")
    (text,) = (text for place, text in contracts() if place.startswith("README.md"))
    text = text.replace(REST["references"], "")
    text = re.sub(r"path: (data|lake)/", rf"path: {lake.root}/\1/", text).replace("conf/keys", f"{lake.root}/keys")
    (lake.root / "people.yaml").write_text(text)
    result = publish(spark, plan(lake.root / "people.yaml"), None, str(lake.root / "reports"))
    assert result.status == "published", result.reasons
    assert result.rows["in"] == 1000
    assert result.rows["quarantined"] <= 41  # those without a date of birth
    assert lake.read("lake/people").where("soc_sec_id rlike '^v1[.]' and given_name = '[redacted]'").count() > 900
