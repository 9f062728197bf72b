"""What the public is given: the keys under which this site's labels are verified."""

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from guiju.labelling.signatures.ring import published, read_ring


@require_GET
def label_keys(request: HttpRequest) -> JsonResponse:
    """Give the public halves of the keys that sign and have signed labels; for everybody."""
    return JsonResponse(published(read_ring(settings.DATA_FOLDER.keys)), json_dumps_params={"indent": 1})
