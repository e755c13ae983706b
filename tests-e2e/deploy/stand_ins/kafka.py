"""Starts Apache Kafka from KAFKA_… variables, as the image apache/kafka does."""

import os
from pathlib import Path
from subprocess import run

PROPERTIES = Path("/tmp/server.properties")
JAVA = ["/opt/java/bin/java", "-Xmx512m", "-cp", "/opt/kafka/libs/*"]

settings = {
    name.removeprefix("KAFKA_").lower().replace("_", "."): value
    for name, value in os.environ.items()
    if name.startswith("KAFKA_")
}
PROPERTIES.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
cluster = "bW9uaXRvcmluZy1zdGFjaw"
formatting = [*JAVA, "kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster, "-c", str(PROPERTIES)]
run(formatting, check=True)
os.execv(JAVA[0], [*JAVA, "kafka.Kafka", str(PROPERTIES)])
