"""A repository for images, of which the newest fifty stay; the account that runs production may pull them."""

import pulumi

from agent_infra import Registry

registry = Registry(
    "images",
    {
        "repository_name": "agents/support",
        "keep_images": 50,
        "pull_accounts": ["111122223333"],
        "deletion_protection": False,
    },
)

pulumi.export("repository_url", registry.repository_url)
pulumi.export("arn", registry.arn)
