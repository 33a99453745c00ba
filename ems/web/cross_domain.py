"""What old players ask for before they play media of another site: Flash ``crossdomain.xml``, Silverlight
``clientaccesspolicy.xml``. A file of that name in the web root goes before these."""

CROSS_DOMAIN = b"""<?xml version="1.0"?>
<cross-domain-policy>
  <allow-access-from domain="*"/>
  <allow-http-request-headers-from domain="*" headers="*"/>
</cross-domain-policy>
"""

CLIENT_ACCESS_POLICY = b"""<?xml version="1.0" encoding="utf-8"?>
<access-policy>
  <cross-domain-access>
    <policy>
      <allow-from http-request-headers="*"><domain uri="*"/></allow-from>
      <grant-to><resource path="/" include-subpaths="true"/></grant-to>
    </policy>
  </cross-domain-access>
</access-policy>
"""

FILES = {"crossdomain.xml": CROSS_DOMAIN, "clientaccesspolicy.xml": CLIENT_ACCESS_POLICY}
"""The files by their paths."""
