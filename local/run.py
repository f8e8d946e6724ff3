"""`make run`: the local cloud up, deployed, and with something in it to look at."""

import sys

from local import cloud


def main() -> str | None:
    try:
        deployment = cloud.up()
        # The demo belongs here: it fills what was deployed, once.
        if deployment.changed:
            cloud.save()
    except cloud.Trouble as trouble:
        return str(trouble)
    _print_how_to_go_on(deployment)
    return None


def _print_how_to_go_on(deployment: cloud.Deployment) -> None:
    print(f"\nThe API answers at {deployment.api_url}/v1\n")


if __name__ == "__main__":
    sys.exit(main())
