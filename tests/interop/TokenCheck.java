import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.tsp.TimeStampRequest;
import org.bouncycastle.tsp.TimeStampResponse;
import org.bouncycastle.tsp.TimeStampToken;

/** Of each argument NAME: does the response NAME.tsr answer the request NAME.tsq, and does its signature verify? */
public class TokenCheck {
    public static void main(String[] names) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        for (String name : names) {
            TimeStampResponse response = new TimeStampResponse(Files.readAllBytes(Path.of(name + ".tsr")));
            response.validate(new TimeStampRequest(Files.readAllBytes(Path.of(name + ".tsq"))));
            TimeStampToken token = response.getTimeStampToken();
            Object signer = token.getCertificates().getMatches(token.getSID()).iterator().next();
            token.validate(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build((X509CertificateHolder) signer));
            String algorithm = token.toCMSSignedData().getSignerInfos().iterator().next().getEncryptionAlgOID();
            System.out.println(Path.of(name).getFileName() + " " + algorithm + " valid");
        }
    }
}
